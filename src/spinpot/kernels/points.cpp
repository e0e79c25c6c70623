#include "points.h"

#if defined(__AVX512VL__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace spinpot {

namespace {

// So many points are looked at one by one as fast as they are sorted.
constexpr int64_t FEW = 1024;
// Of one frame, 2 GB; a cutoff that is a hundred times as long as the cell would fill any memory.
constexpr double MOST = 2e7;
// Å; more than what rounding does to where the points are within the boxes.
constexpr double SLACK = 1e-6;
// Å²; more than what rounding of images does to a distance.
constexpr double ROUNDING = 1e-7;
constexpr int64_t BLOCK = 256;

double square(double value) { return value * value; }

// Points one after the other.
struct Range {
  int64_t first;
  int64_t operator()(int64_t n) const { return first + n; }
  // The numbers of points, and where among them that of point n is.
  const double* of(const std::vector<double>& numbers) const { return numbers.data() + first; }
  int64_t index(int64_t n) const { return n; }
  int64_t where(int64_t point) const { return point - first; }
#if defined(__AVX512VL__)
  __m256i eight(int64_t n, __mmask8) const {
    return _mm256_add_epi32(_mm256_set1_epi32(static_cast<int>(first + n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
#endif
};

// Points of a list, which a search has made: an atom's own point is not in it.
struct Listed {
  const int32_t* points;
  int64_t operator()(int64_t n) const { return points[n]; }
  const double* of(const std::vector<double>& numbers) const { return numbers.data(); }
  int64_t index(int64_t n) const { return points[n]; }
  int64_t where(int64_t) const { return -1; }
#if defined(__AVX512VL__)
  __m256i eight(int64_t n, __mmask8 which) const { return _mm256_maskz_loadu_epi32(which, points + n); }
#endif
};

// Writes the points with negative numbers; returns how many. Without branches, which no processor could foresee.
template <typename At>
int64_t keep(const double* numbers, const At& at, int64_t size, int32_t* found) {
  int64_t count = 0, n = 0;
#if defined(__AVX512VL__)
  for (; n + 8 <= size; n += 8) {
    const __mmask8 which = _mm512_cmp_pd_mask(_mm512_loadu_pd(numbers + n), _mm512_setzero_pd(), _CMP_LT_OQ);
    const __m256i kept = _mm256_maskz_compress_epi32(which, at.eight(n, which));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(found + count), kept);
    count += __builtin_popcount(which);
  }
#endif
  for (; n < size; ++n) {
    found[count] = static_cast<int32_t>(at(n));
    count += numbers[n] < 0.0;
  }
  return count;
}

// Boxes along one axis.
struct Axis {
  std::vector<double> values;
  double width, low, extent;

  Axis(const std::vector<double>& places, double wide) : values(places), width(wide) { measure(); }

  void measure() {
    const auto ends = std::minmax_element(values.begin(), values.end());
    low = *ends.first;
    extent = *ends.second - low;
  }
  double count() const { return std::floor(extent / width) + 1.0; }
  // Of the place that is so far away from a point.
  int64_t box(int64_t k, double away) const {
    const double place = std::floor((values[k] + away - low) / width);
    return static_cast<int64_t>(std::min(std::max(place, 0.0), count() - 1.0));
  }

  // Makes gaps that are wider than `gap` so wide, so that no boxes lie between points far from each other.
  void close_gaps(double gap) {
    std::vector<int32_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return values[a] < values[b]; });
    double before = values[order[0]], made = 0.0;
    for (const int32_t k : order) {
      made += std::min(values[k] - before, gap);
      before = values[k];
      values[k] = made;
    }
    measure();
  }
};

}  // namespace

Search::Search(const spinpot_frames& own, double extra, bool at_atoms)
    : frames(own), skin(extra), apart(at_atoms), with_virtual(own.n_types, 0), excludes(own.n_types, 0) {
  const int64_t n = own.n_types;
  for (int64_t a = 0; a < n; ++a)
    for (int64_t b = 0; b < n; ++b) with_virtual[b] |= sees(a, n + b);
  for (int64_t a = 0; a < n; ++a)
    for (int64_t b = 0; b < n; ++b) excludes[a] |= !sees(a, b) || (with_virtual[b] && !sees(a, n + b));
}

Vec Search::place(int64_t atom, bool is_virtual) const {
  return plus(vec_at(frames.coord + 3 * atom), is_virtual && !apart ? 1.0 : 0.0, displacement(atom));
}

double Search::reach(int64_t atom, bool is_virtual) const {
  const double far = frames.cutoff + skin;
  if (!is_virtual || !apart) return far;
  const Vec own = displacement(atom);
  return far + std::sqrt(dot(own, own)) + MARGIN;
}

// An atom or a virtual atom, and which images of it come near the atoms.
struct Points::Site {
  int64_t atom;
  bool is_virtual;
  double reach;
  // In units of the lattice vectors: the place, the image within the cell, the first image and how many follow.
  Vec fractional, home, first;
  int64_t counts[3];

  Site(const Search& search, const Lattice& lattice, int64_t own, bool own_virtual)
      : atom(own),
        is_virtual(own_virtual),
        reach(search.reach(own, own_virtual)),
        fractional(lattice.fractional(search.place(own, own_virtual))) {
    for (int k = 0; k < 3; ++k) home[k] = -std::floor(fractional[k]);
  }

  // Returns how many images come near places between two fractional coordinates.
  double find_images(const Lattice& lattice, const Vec& low, const Vec& high) {
    double number = 1.0;
    for (int k = 0; k < 3; ++k) {
      const double far = lattice.reach(k, reach + MARGIN) + (lattice.repeats(k) ? 1e-9 : 0.0);
      first[k] = std::ceil(low[k] - far - fractional[k]);
      const double count = std::max(0.0, std::floor(high[k] + far - fractional[k]) - first[k] + 1.0);
      number *= count;
      counts[k] = static_cast<int64_t>(std::min(count, MOST));
    }
    return number;
  }

  // Which of the images lies within the cell.
  int64_t place_of_home() const {
    const auto place = [this](int k) { return static_cast<int64_t>(home[k] - first[k]); };
    return (place(0) * counts[1] + place(1)) * counts[2] + place(2);
  }

  template <typename Visit>
  void each_image(const Visit& visit) const {
    for (int64_t a = 0; a < counts[0]; ++a)
      for (int64_t b = 0; b < counts[1]; ++b)
        for (int64_t c = 0; c < counts[2]; ++c) visit(plus(first, 1.0, {double(a), double(b), double(c)}));
  }
};

Points::Points(const Search& search, int64_t frame, int64_t begin, int64_t atoms) : home_(atoms) {
  const spinpot_frames& frames = search.frames;
  const Lattice lattice(frames.box + 9 * frame, frames.periodic + 3 * frame);
  if (!lattice.valid())
    throw std::invalid_argument("expected independent lattice vectors in frame " + std::to_string(frame));
  std::vector<Site> sites;
  sites.reserve(2 * atoms);
  for (int64_t k = begin; k < begin + atoms; ++k) sites.emplace_back(search, lattice, k, false);
  for (int64_t k = begin; k < begin + atoms; ++k)
    if (search.with_virtual[frames.types[k]]) sites.emplace_back(search, lattice, k, true);

  Vec low{1.0, 1.0, 1.0}, high{};
  for (int64_t own = 0; own < atoms; ++own) {
    const Vec within = plus(sites[own].fractional, 1.0, sites[own].home);
    for (int k = 0; k < 3; ++k) low[k] = std::min(low[k], within[k]), high[k] = std::max(high[k], within[k]);
  }
  double number = 0.0, farthest = 0.0;
  for (Site& site : sites) {
    number += site.find_images(lattice, low, high);
    farthest = std::max(farthest, site.reach);
  }
  if (!(number < MOST))
    throw std::invalid_argument("expected a cutoff that fewer images come within in frame " + std::to_string(frame));

  add(search, lattice, sites, static_cast<int64_t>(number));
  move(search);
  sort(farthest);
}

void Points::add(const Search& search, const Lattice& lattice, const std::vector<Site>& sites, int64_t number) {
  for (auto* each : {&atom_, &type_}) each->resize(number);
  limit_.resize(number);
  for (int c = 0; c < 3; ++c)
    for (auto* each : {&at_[c], &place_[c], &shift_[c]}) each->resize(number);
  int64_t k = 0;
  for (size_t own = 0; own < sites.size(); ++own) {
    const Site& site = sites[own];
    if (!site.is_virtual) home_[own] = static_cast<int32_t>(k + site.place_of_home());
    const int64_t type = search.frames.types[site.atom] + (site.is_virtual ? search.frames.n_types : 0);
    site.each_image([&](const Vec& counts) {
      const Vec shift = lattice.moved({}, counts);
      for (int c = 0; c < 3; ++c) shift_[c][k] = shift[c];
      atom_[k] = static_cast<int32_t>(site.atom);
      type_[k++] = static_cast<int32_t>(type);
    });
  }
}

void Points::move(const Search& search) {
  for (int64_t k = 0; k < size(); ++k) {
    const bool is_virtual = type_[k] >= search.frames.n_types;
    const Vec place = search.place(atom_[k], is_virtual);
    for (int c = 0; c < 3; ++c) {
      place_[c][k] = place[c];
      at_[c][k] = place[c] + shift_[c][k];
    }
    limit_[k] = square(search.reach(atom_[k], is_virtual));
  }
}

void Points::sort(double reach) {
  windows_.resize(home_.size());
  if (size() <= FEW) {
    begin_ = {0, static_cast<int32_t>(size())};
    return;
  }
  reach += SLACK;
  Axis axes[3] = {{at_[0], 0.5 * reach}, {at_[1], 0.5 * reach}, {at_[2], 0.25 * reach}};
  const auto number = [&] { return axes[0].count() * axes[1].count() * axes[2].count(); };
  const double most = 4.0 * static_cast<double>(size());
  if (number() > most)
    for (Axis& axis : axes) axis.close_gaps(reach);
  while (number() > most)
    for (Axis& axis : axes) axis.width *= 1.25;
  for (int k = 0; k < 3; ++k) boxes_[k] = axes[k].count();

  std::vector<int32_t> box(size());
  begin_.assign(boxes_[0] * boxes_[1] * boxes_[2] + 1, 0);
  for (int64_t k = 0; k < size(); ++k) {
    box[k] = static_cast<int32_t>(box_at(axes[0].box(k, 0.0), axes[1].box(k, 0.0), axes[2].box(k, 0.0)));
    ++begin_[box[k] + 1];
  }
  std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
  for (size_t own = 0; own < home_.size(); ++own)
    for (int k = 0; k < 3; ++k) {
      windows_[own].low[k] = static_cast<int32_t>(axes[k].box(home_[own], -reach));
      windows_[own].high[k] = static_cast<int32_t>(axes[k].box(home_[own], reach));
    }
  std::vector<int32_t> place(size()), next(begin_.begin(), begin_.end() - 1);
  for (int64_t k = 0; k < size(); ++k) place[k] = next[box[k]]++;
  arrange(place);
}

// Moves each point to its place in another order.
void Points::arrange(const std::vector<int32_t>& place) {
  const auto arranged = [&](auto& values) {
    auto made = values;
    for (size_t k = 0; k < place.size(); ++k) made[place[k]] = values[k];
    values.swap(made);
  };
  for (int c = 0; c < 3; ++c) arranged(at_[c]), arranged(place_[c]), arranged(shift_[c]);
  arranged(limit_), arranged(atom_), arranged(type_);
  for (int32_t& home : home_) home = place[home];
}

int64_t Points::seen_from(int64_t own, int32_t* found) const {
  const Window& window = windows_[own];
  int64_t count = 0;
  for (int64_t a = window.low[0]; a <= window.high[0]; ++a)
    for (int64_t b = window.low[1]; b <= window.high[1]; ++b) {
      const int64_t end = begin_[box_at(a, b, window.high[2]) + 1];
      for (int64_t k = begin_[box_at(a, b, window.low[2])]; k < end; k += BLOCK)
        count += seen_of(own, Range{k}, std::min(BLOCK, end - k), found + count);
    }
  return count;
}

int64_t Points::seen_from(int64_t own, const int32_t* candidates, int64_t number, int32_t* found) const {
  int64_t count = 0;
  for (int64_t k = 0; k < number; k += BLOCK)
    count += seen_of(own, Listed{candidates + k}, std::min(BLOCK, number - k), found + count);
  return count;
}

double Points::write(int64_t from, const int32_t* found, int64_t count, int64_t* atoms, int64_t* types,
                     double* vectors) const {
  double least = std::numeric_limits<double>::infinity();
  const double *place[3], *shift[3];
  for (int c = 0; c < 3; ++c) place[c] = place_[c].data(), shift[c] = shift_[c].data();
  const int32_t *atom = atom_.data(), *type = type_.data();
  double here[3], moved[3];
  for (int c = 0; c < 3; ++c) here[c] = place[c][from], moved[c] = shift[c][from];
  for (int64_t n = 0; n < count; ++n) {
    const int64_t k = found[n];
    atoms[n] = atom[k];
    types[n] = type[k];
    double distance = 0.0;
    for (int c = 0; c < 3; ++c) {
      const double own = (place[c][k] - here[c]) + (shift[c][k] - moved[c]);
      vectors[3 * n + c] = own;
      distance += own * own;
    }
    least = std::min(least, distance);
  }
  return least;
}

// Writes those of the points at(0), at(1), … that an atom sees; its own point is none of them.
template <typename At>
int64_t Points::seen_of(int64_t own, const At& at, int64_t number, int32_t* found) const {
  const int64_t home = home_[own];
  const double x = at_[0][home], y = at_[1][home], z = at_[2][home];
  const double *px = at.of(at_[0]), *py = at.of(at_[1]), *pz = at.of(at_[2]), *limit = at.of(limit_);
  double beyond[BLOCK], nearest = ROUNDING;
#pragma omp simd reduction(min : nearest)
  for (int64_t n = 0; n < number; ++n) {
    const int64_t k = at.index(n);
    beyond[n] = square(px[k] - x) + square(py[k] - y) + square(pz[k] - z) - limit[k];
    nearest = std::min(nearest, std::abs(beyond[n]));
  }
  // Points at the very edge, as those of a crystal may be, are looked at as exactly as they are written.
  for (int64_t n = 0; nearest < ROUNDING && n < number; ++n) {
    if (!(std::abs(beyond[n]) < ROUNDING)) continue;
    const Vec exact = vector(home, at(n));
    beyond[n] = dot(exact, exact) - limit_[at(n)];
  }
  const int64_t itself = at.where(home);
  if (itself >= 0 && itself < number) beyond[itself] = 1.0;
  return keep(beyond, at, number, found);
}

}  // namespace spinpot
