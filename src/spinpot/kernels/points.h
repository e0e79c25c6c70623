// Possible neighbours in a frame: atoms, virtual atoms and their images, as points sorted into boxes.

#pragma once

#if defined(__AVX512VL__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "interface.h"
#include "lattice.h"

namespace spinpot {

// Å; keeps atoms exactly at the cutoff despite rounding errors. spinpot.data.pairs has the same margin.
constexpr double MARGIN = 1e-9;
// Å; larger than the rounding errors of images and boxes.
constexpr double SLACK = 1e-6;

// An atom, or its virtual atom (type T…2T−1), or an image of either.
struct Point {
  int32_t atom, type;
  // Position of the atom or virtual atom, and the vector from there to the image.
  Vec place, shift;
  // Largest distance, Å, at which it is a neighbour.
  double reach;

  // Updates the position. With any_direction, a virtual atom is placed at its atom, with its displacement added to `reach`.
  void move(const spinpot_frames& frames) {
    place = vec_at(frames.coord + 3 * atom);
    reach = frames.cutoff;
    if (type < frames.n_types) return;
    const Vec displacement = vec_at(frames.displacement + 3 * atom);
    if (frames.any_direction) {
      reach += length(displacement) + MARGIN;
    } else {
      place = plus(place, 1.0, displacement);
    }
  }

  // The vector to another point. Positions and shifts are subtracted separately, which is exact also for atoms far outside
  // the cell.
  Vec to(const Point& other) const {
    return plus(plus(other.place, -1.0, place), 1.0, plus(other.shift, -1.0, shift));
  }
};

// Boxes for sorting points. If there would be too many, distant boxes share one slot. This costs time, but is no error:
// distant points are rejected by their distance.
class Boxes {
 public:
  // Sorts points into the boxes by their coordinates along each axis; returns the new index of each.
  std::vector<int32_t> sort(const std::vector<double>* at, double reach) {
    const int64_t size = at[0].size();
    reach_ = reach + SLACK;
    const double wide = std::max(LEAST, reach_);
    width_ = {wide, wide, 0.125 * wide};  // boxes along the last axis are adjacent in memory and are visited together
    for (int k = 0; k < 3; ++k) {
      const auto ends = std::minmax_element(at[k].begin(), at[k].end());
      first_[k] = box(k, *ends.first);
      last_[k] = box(k, *ends.second);
      count_[k] = last_[k] - first_[k] + 1;
    }
    while (double(count_[0]) * double(count_[1]) * double(count_[2]) > 4.0 * double(size)) {
      int64_t& most = *std::max_element(count_, count_ + 3);
      most = (most + 1) / 2;
    }
    std::vector<int32_t> goes(size);
    begin_.assign(count_[0] * count_[1] * count_[2] + 1, 0);
    for (int64_t k = 0; k < size; ++k) {
      goes[k] = static_cast<int32_t>(row(kept(0, box(0, at[0][k])), kept(1, box(1, at[1][k]))) +
                                     kept(2, box(2, at[2][k])));
      ++begin_[goes[k] + 1];
    }
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    std::vector<int32_t> next(begin_.begin(), begin_.end() - 1);
    for (int32_t& own : goes) own = next[own]++;
    return goes;
  }

  // Puts all points into one box, unsorted.
  void hold_all(int64_t size) { begin_ = {0, static_cast<int32_t>(size)}; }

  // Calls visit(begin, end) for ranges of sorted points that include all points within reach of `place`.
  template <typename Visit>
  void each_near(const Vec& place, const Visit& visit) const {
    int64_t first[3], end[3];
    for (int k = 0; k < 3; ++k) {
      const int64_t low = std::max(first_[k], box(k, place[k] - reach_));
      const int64_t high = std::min(last_[k], box(k, place[k] + reach_));
      first[k] = kept(k, low);
      end[k] = first[k] + std::min(high - low + 1, count_[k]);
    }
    const auto again = [this](int k, int64_t box) { return box < count_[k] ? box : box - count_[k]; };
    for (int64_t a = first[0]; a < end[0]; ++a)
      for (int64_t b = first[1]; b < end[1]; ++b) {
        const int32_t* begin = begin_.data() + row(again(0, a), again(1, b));
        visit(begin[first[2]], begin[std::min(end[2], count_[2])]);
        if (end[2] > count_[2]) visit(begin[0], begin[end[2] - count_[2]]);
      }
  }

 private:
  // The smallest width, Å. Atoms are not dense enough for narrower boxes to help.
  static constexpr double LEAST = 1.0;

  int64_t box(int k, double place) const { return static_cast<int64_t>(std::floor(place / width_[k])); }
  int64_t kept(int k, int64_t box) const {
    return box - first_[k] - count_[k] * static_cast<int64_t>(std::floor(double(box - first_[k]) / double(count_[k])));
  }
  int64_t row(int64_t a, int64_t b) const { return (a * count_[1] + b) * count_[2]; }

  // Before sort() there is one box, larger than any coordinate.
  double reach_ = 1e16;
  Vec width_{1e17, 1e17, 1e17};
  // For each axis: the first and last box with points, and the number of boxes.
  int64_t first_[3] = {}, last_[3] = {}, count_[3] = {1, 1, 1};
  std::vector<int32_t> begin_;
};

class Points {
 public:
  Points() = default;

  // The points of one frame with the atoms begin…end − 1. with_virtual: whether to add virtual atoms, by element.
  Points(const spinpot_frames& frames, const std::vector<char>& with_virtual, int64_t frame, int64_t begin, int64_t end)
      : first_atom_(begin), homes_(end - begin, -1) {
    const Lattice lattice(frames.box + 9 * frame, frames.periodic + 3 * frame);
    const auto refuse = [&](const char* expected) {
      throw std::invalid_argument(std::string("expected ") + expected + " in frame " + std::to_string(frame));
    };
    if (!lattice.valid()) refuse("independent lattice vectors");
    std::vector<Point> sites;
    for (int64_t type = 0; type < 2 * frames.n_types; type += frames.n_types)
      for (int64_t atom = begin; atom < end; ++atom)
        if (type == 0 || with_virtual[frames.types[atom]]) {
          sites.push_back({static_cast<int32_t>(atom), static_cast<int32_t>(frames.types[atom] + type), {}, {}, 0.0});
          sites.back().move(frames);
        }
    Vec low{1.0, 1.0, 1.0}, high{};
    for (int64_t atom = 0; atom < end - begin; ++atom) {
      const Vec own = lattice.fractional(sites[atom].place);
      for (int k = 0; k < 3; ++k) {
        low[k] = std::min(low[k], own[k] - std::floor(own[k]));
        high[k] = std::max(high[k], own[k] - std::floor(own[k]));
      }
    }
    for (const Point& site : sites)
      if (!add_images(lattice, low, high, site)) refuse("a cutoff that fewer images come within");
    spread();
    sort();
  }

  // Updates the positions of all points to those of their atoms.
  void move(const spinpot_frames& frames) {
    for (Point& point : points_) point.move(frames);
    spread();
  }

  int64_t size() const { return static_cast<int64_t>(points_.size()); }
  const Point& operator[](int64_t k) const { return points_[k]; }
  // The point of an atom as a centre.
  int32_t home(int64_t atom) const { return homes_[atom - first_atom_]; }

  // Writes the neighbours of an atom into `found`, which has room for all; returns their number.
  int64_t seen_from(int64_t atom, int32_t* found) const {
    const int64_t own = home(atom);
    int64_t count = 0;
    boxes_.each_near({at_[0][own], at_[1][own], at_[2][own]}, [&](int64_t begin, int64_t end) {
      for (int64_t first = begin; first < end; first += BLOCK)
        count += look(own, [first](int64_t n) { return first + n; }, order_.data() + first,
                      std::min(BLOCK, end - first), found + count);
    });
    return count;
  }

  // Like seen_from, but considers only `number` candidates.
  int64_t seen_among(const int32_t* candidates, int64_t number, int64_t atom, int32_t* found) const {
    int64_t count = 0;
    for (int64_t first = 0; first < number; first += BLOCK) {
      const int32_t* own = candidates + first;
      count += look(home(atom), [own](int64_t n) { return own[n]; }, own, std::min(BLOCK, number - first),
                    found + count);
    }
    return count;
  }

 private:
  // Up to this number, checking all points is as fast as sorting them.
  static constexpr int64_t FEW = 1024;
  // The largest number of points, about 2 GB. A cutoff of a hundred cell lengths would fill any memory.
  static constexpr double MOST = 2e7;
  // Å²; larger than the rounding errors of images in squared distances.
  static constexpr double ROUNDING = 1e-7;
  static constexpr int64_t BLOCK = 256;

  static double square(double value) { return value * value; }

  // Adds the images of a site that may be within reach of atoms with fractional coordinates from low to high. Returns false
  // if there would be too many points.
  bool add_images(const Lattice& lattice, const Vec& low, const Vec& high, const Point& site) {
    const Vec place = lattice.fractional(site.place);
    Vec first, count;
    for (int k = 0; k < 3; ++k) {
      const double far = lattice.reach(k, site.reach + SLACK);
      first[k] = std::ceil(low[k] - far - place[k]);
      count[k] = std::max(0.0, std::floor(high[k] + far - place[k]) - first[k] + 1.0);
    }
    if (!(double(size()) + count[0] * count[1] * count[2] < MOST)) return false;
    const Vec within{-std::floor(place[0]), -std::floor(place[1]), -std::floor(place[2])};
    int32_t& own = homes_[site.atom - first_atom_];
    for (double a = 0.0; a < count[0]; ++a)
      for (double b = 0.0; b < count[1]; ++b)
        for (double c = 0.0; c < count[2]; ++c) {
          const Vec cells = plus(first, 1.0, {a, b, c});
          if (own < 0 && cells == within) own = static_cast<int32_t>(size());
          points_.push_back(site);
          points_.back().shift = lattice.shift(cells);
        }
    return true;
  }

  // Copies positions and limits into separate arrays, which `look` reads.
  void spread() {
    for (auto* each : {&at_[0], &at_[1], &at_[2], &limit_}) each->resize(size());
    for (int64_t k = 0; k < size(); ++k) {
      const Point& point = points_[k];
      for (int c = 0; c < 3; ++c) at_[c][k] = point.place[c] + point.shift[c];
      limit_[k] = square(point.reach);
    }
  }

  void sort() {
    order_.resize(size());
    std::iota(order_.begin(), order_.end(), 0);
    if (size() <= FEW) return boxes_.hold_all(size());
    const double farthest = *std::max_element(limit_.begin(), limit_.end());
    const std::vector<int32_t> goes = boxes_.sort(at_, std::sqrt(farthest));
    const std::vector<Point> before = points_;
    for (int64_t k = 0; k < size(); ++k) points_[goes[k]] = before[k];
    for (int32_t& home : homes_) home = goes[home];
    spread();
  }

  // Writes the neighbours of the point `own` among the points at(0), at(1), … at(size − 1), whose indices are also in the
  // array `points`. Returns their number.
  template <typename At>
  int64_t look(int64_t own, const At at, const int32_t* points, int64_t size, int32_t* found) const {
    const double x = at_[0][own], y = at_[1][own], z = at_[2][own];
    const double *px = at_[0].data(), *py = at_[1].data(), *pz = at_[2].data(), *limit = limit_.data();
    double beyond[BLOCK], nearest = ROUNDING;
#pragma omp simd reduction(min : nearest)
    for (int64_t n = 0; n < size; ++n) {
      const int64_t k = at(n);
      beyond[n] = square(px[k] - x) + square(py[k] - y) + square(pz[k] - z) - limit[k];
      nearest = std::min(nearest, std::abs(beyond[n]));
    }
    // For points very close to the limit, as in crystals, the distance is recomputed without the rounding of images.
    for (int64_t n = 0; nearest < ROUNDING && n < size; ++n)
      if (std::abs(beyond[n]) < ROUNDING) {
        const Vec exact = points_[own].to(points_[at(n)]);
        beyond[n] = dot(exact, exact) - limit[at(n)];
      }
    const int64_t itself = own - points[0];
    if (0 <= itself && itself < size && points[itself] == own) beyond[itself] = 1.0;
    return keep(beyond, points, size, found);
  }

  // Writes the points whose number is negative; returns how many. There are no branches, since they would be unpredictable.
  static int64_t keep(const double* numbers, const int32_t* points, int64_t size, int32_t* found) {
    int64_t count = 0, n = 0;
#if defined(__AVX512VL__)
    for (; n + 8 <= size; n += 8) {
      const __mmask8 which = _mm512_cmp_pd_mask(_mm512_loadu_pd(numbers + n), _mm512_setzero_pd(), _CMP_LT_OQ);
      const __m256i kept = _mm256_maskz_compress_epi32(which, _mm256_maskz_loadu_epi32(which, points + n));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(found + count), kept);
      count += __builtin_popcount(which);
    }
#endif
    for (; n < size; ++n) {
      found[count] = points[n];
      count += numbers[n] < 0.0;
    }
    return count;
  }

  // For each point: the square of `reach`; the position, by axis.
  std::vector<double> limit_, at_[3];
  std::vector<Point> points_;
  int64_t first_atom_ = 0;
  std::vector<int32_t> homes_, order_;  // order: 0, 1, …
  Boxes boxes_;
};

}  // namespace spinpot
