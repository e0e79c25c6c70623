// Neighbour pairs of frames, and the pair list of moving structures.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "guard.h"
#include "points.h"

using namespace spinpot;

namespace {

// Number of atoms of one frame that a thread takes at a time.
constexpr int64_t ATOMS = 256;
// Å; differences of larger coordinates have too few digits.
constexpr double FARTHEST = 1e15;
constexpr double INFINITE = std::numeric_limits<double>::infinity();

bool near(const double* numbers) {
  return std::all_of(numbers, numbers + 3, [](double number) { return std::abs(number) < FARTHEST; });
}

void check(const spinpot_frames& frames) {
  require(frames.cutoff > 0.0 && frames.cutoff < FARTHEST, "a cutoff above 0 Å");
  require(frames.n_frames >= 0 && frames.n_types > 0, "frames and elements");
  int64_t rest = frames.total_atoms, atom = 0;
  require(rest >= 0 && rest < std::numeric_limits<int32_t>::max() / 2, "fewer atoms in one call");
  for (int64_t frame = 0; frame < frames.n_frames; rest -= frames.n_atoms[frame++])
    require(frames.n_atoms[frame] >= 0 && frames.n_atoms[frame] <= rest, "as many atoms as the frames have");
  require(rest == 0, "as many atoms as the frames have");
  for (int64_t frame = 0; frame < frames.n_frames; ++frame) {
    const int64_t begin = atom;
    for (; atom < begin + frames.n_atoms[frame]; ++atom) {
      const auto refuse = [&](const char* expected) {
        const auto own = ", atom " + std::to_string(atom - begin) + " of frame " + std::to_string(frame);
        require(false, (expected + own).c_str());
      };
      if (frames.types[atom] < 0 || frames.types[atom] >= frames.n_types) refuse("types from 0 to T − 1");
      if (!near(frames.coord + 3 * atom)) refuse("finite coordinates");
      if (!near(frames.displacement + 3 * atom)) refuse("a finite displacement");
    }
  }
}

// Everything that determines the pairs except the positions of atoms and virtual atoms.
std::vector<double> fixed_of(const spinpot_frames& frames) {
  const int64_t n_frames = frames.n_frames, n_types = frames.n_types;
  std::vector<double> made{frames.cutoff, double(n_frames), double(n_types), double(frames.any_direction)};
  made.insert(made.end(), frames.n_atoms, frames.n_atoms + n_frames);
  made.insert(made.end(), frames.types, frames.types + frames.total_atoms);
  made.insert(made.end(), frames.box, frames.box + 9 * n_frames);
  made.insert(made.end(), frames.periodic, frames.periodic + 3 * n_frames);
  made.insert(made.end(), frames.seen, frames.seen + 2 * n_types * n_types);
  return made;
}

}  // namespace

// The pairs within a cutoff. With a skin, candidates are reused as long as atoms have moved little.
struct spinpot_pair_list {
 public:
  explicit spinpot_pair_list(double skin) : skin_(skin) {}

  void find(const spinpot_frames& frames) {
    found_ = {};
    check(frames);
    if (!holds(frames)) search(frames);
    found_ = skin_ == 0.0 ? std::move(candidates_) : still_seen(frames);
    n_types_ = frames.n_types;
    types_.assign(frames.types, frames.types + frames.total_atoms);
    away_.assign(frames.displacement, frames.displacement + (frames.any_direction ? 3 * frames.total_atoms : 0));
  }

  int64_t size() const { return found_.start.empty() ? 0 : found_.start.back(); }
  int64_t searches() const { return searches_; }

  void take(const spinpot_pairs& out) const {
    require(!found_.start.empty(), "pairs that were found");
    std::copy(found_.start.begin(), found_.start.end(), out.start);
    std::vector<double> least(types_.size());
    parallel(blocks_.size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) fill(block, out, least.data());
    });
    std::fill(out.closest, out.closest + n_types_, INFINITE);
    for (size_t atom = 0; atom < types_.size(); ++atom) {
      double& closest = out.closest[types_[atom]];
      closest = std::min(closest, std::sqrt(least[atom]));
    }
  }

 private:
  // A range of atoms of one frame.
  struct Block {
    int64_t frame, begin, end;
  };
  // The neighbours of all atoms. start: index of each atom's first neighbour. points: the neighbours' points, by block.
  struct Seen {
    std::vector<int64_t> start;
    std::vector<std::vector<int32_t>> points;
  };
  // The input of the last search: everything except positions; the positions of atoms; the lengths of displacements.
  struct Before {
    std::vector<double> fixed;
    std::vector<Vec> coord;
    std::vector<double> lengths;
  };

  // Whether the candidates still include all pairs within the cutoff: two atoms approach each other by at most twice
  // the largest displacement, plus the growth of a virtual atom's displacement.
  bool holds(const spinpot_frames& frames) const {
    if (skin_ == 0.0 || before_.fixed != fixed_of(frames)) return false;
    double moved = 0.0, lengthened = 0.0;
    for (size_t atom = 0; atom < before_.coord.size(); ++atom) {
      moved = std::max(moved, length(plus(before_.coord[atom], -1.0, vec_at(frames.coord + 3 * atom))));
      const double now = length(vec_at(frames.displacement + 3 * atom));
      lengthened = std::max(lengthened, now - before_.lengths[atom]);
    }
    return 2.0 * moved + lengthened <= skin_;
  }

  // Finds the candidates: pairs within cutoff + skin, for any direction of the virtual atoms' displacements.
  void search(spinpot_frames frames) {
    before_ = {};
    const auto fixed = fixed_of(frames);
    frames.cutoff += skin_;
    frames.any_direction |= skin_ > 0.0;
    const auto sees = [&frames](int64_t element, int64_t type) {
      return frames.seen[2 * element * frames.n_types + type] != 0;
    };
    // For each element: whether any centre has its virtual atoms as neighbours; whether its own centres do not have all
    // neighbour types that the points include.
    std::vector<char> with_virtual(frames.n_types, 0), excludes(frames.n_types, 0);
    for (int64_t a = 0; a < frames.n_types; ++a)
      for (int64_t b = 0; b < frames.n_types; ++b) with_virtual[b] |= sees(a, frames.n_types + b);
    for (int64_t a = 0; a < frames.n_types; ++a)
      for (int64_t b = 0; b < frames.n_types; ++b)
        excludes[a] |= !sees(a, b) || (with_virtual[b] && !sees(a, frames.n_types + b));

    blocks_.clear();
    std::vector<int64_t> first{0};
    for (int64_t frame = 0; frame < frames.n_frames; ++frame) {
      const int64_t begin = first.back(), end = begin + frames.n_atoms[frame];
      for (int64_t atom = begin; atom < end; atom += ATOMS)
        blocks_.push_back({frame, atom, std::min(atom + ATOMS, end)});
      first.push_back(end);
    }
    points_.assign(frames.n_frames, Points());
    parallel(frames.n_frames, 1, [&](int64_t begin, int64_t end) {
      for (int64_t frame = begin; frame < end; ++frame)
        points_[frame] = Points(frames, with_virtual, frame, first[frame], first[frame + 1]);
    });
    candidates_ = seen([&](const Points& points, int64_t, int64_t atom, int32_t* found) {
      const int64_t count = points.seen_from(atom, found), element = frames.types[atom];
      if (!excludes[element]) return count;
      const auto missed = [&](int32_t k) { return !sees(element, points[k].type); };
      return std::remove_if(found, found + count, missed) - found;
    });
    ++searches_;
    if (skin_ == 0.0) return;
    for (int64_t atom = 0; atom < frames.total_atoms; ++atom) {
      before_.coord.push_back(vec_at(frames.coord + 3 * atom));
      before_.lengths.push_back(length(vec_at(frames.displacement + 3 * atom)));
    }
    before_.fixed = fixed;
  }

  // The candidates that are within the cutoff now.
  Seen still_seen(const spinpot_frames& frames) {
    parallel(points_.size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t frame = begin; frame < end; ++frame) points_[frame].move(frames);
    });
    return seen([&](const Points& points, int64_t block, int64_t atom, int32_t* found) {
      const int64_t* start = candidates_.start.data();
      const int32_t* first = candidates_.points[block].data() + start[atom] - start[blocks_[block].begin];
      return points.seen_among(first, start[atom + 1] - start[atom], atom, found);
    });
  }

  // Collects the neighbours of all atoms. look(points, block, atom, found) writes those of one atom and returns their number.
  template <typename Look>
  Seen seen(const Look& look) const {
    Seen made;
    made.start.resize(blocks_.empty() ? 1 : blocks_.back().end + 1);
    made.points.resize(blocks_.size());
    parallel(blocks_.size(), 1, [&](int64_t begin, int64_t end) {
      std::vector<int32_t> room;
      for (int64_t block = begin; block < end; ++block) {
        const Block& own = blocks_[block];
        const Points& points = points_[own.frame];
        int64_t count = 0;
        for (int64_t atom = own.begin; atom < own.end; ++atom) {
          if (static_cast<int64_t>(room.size()) < count + points.size()) room.resize(2 * (count + points.size()));
          made.start[atom + 1] = look(points, block, atom, room.data() + count);
          count += made.start[atom + 1];
        }
        made.points[block].assign(room.begin(), room.begin() + count);
      }
    });
    std::partial_sum(made.start.begin(), made.start.end(), made.start.begin());
    return made;
  }

  // Writes the pairs of a block's atoms. least: for each atom, the squared distance of its closest neighbour; with
  // any_direction, the smallest one for any direction of the neighbour's displacement.
  void fill(size_t block, const spinpot_pairs& out, double* least) const {
    const Block& own = blocks_[block];
    const Points& points = points_[own.frame];
    const int32_t* found = found_.points[block].data();
    std::fill(out.counts + 2 * n_types_ * own.begin, out.counts + 2 * n_types_ * own.end, 0);
    for (int64_t atom = own.begin; atom < own.end; ++atom) {
      const Point here = points[points.home(atom)];
      int64_t* counts = out.counts + 2 * n_types_ * atom;
      double closest = INFINITE;
      for (int64_t pair = found_.start[atom]; pair < found_.start[atom + 1]; ++pair, ++found) {
        const Point& point = points[*found];
        Vec vector = here.to(point);
        double square = dot(vector, vector);
        if (!away_.empty() && point.type >= n_types_) {
          const Vec away = vec_at(away_.data() + 3 * point.atom);
          square = std::pow(std::sqrt(square) - length(away), 2);
          vector = plus(vector, 1.0, away);
        }
        closest = std::min(closest, square);
        out.neighbour[pair] = point.atom;
        out.type[pair] = point.type;
        std::copy(vector.begin(), vector.end(), out.vector + 3 * pair);
        ++counts[point.type];
      }
      least[atom] = closest;
    }
  }

  double skin_;
  int64_t searches_ = 0, n_types_ = 0;
  std::vector<int64_t> types_;
  std::vector<Block> blocks_;
  std::vector<Points> points_;
  Seen candidates_, found_;
  // Displacements of virtual atoms whose points are at their atoms (any_direction); empty otherwise.
  std::vector<double> away_;
  Before before_;
};

int spinpot_pair_list_new(double skin, spinpot_pair_list** list) {
  return guarded(1, [&] {
    require(skin >= 0.0 && skin < FARTHEST, "a skin from 0 Å on");
    *list = new spinpot_pair_list(skin);
  });
}

void spinpot_pair_list_free(spinpot_pair_list* list) { delete list; }

int spinpot_find_pairs(spinpot_pair_list* list, const spinpot_frames* frames, int64_t threads, int64_t* n_pairs,
                       int64_t* searches) {
  return guarded(threads, [&] {
    list->find(*frames);
    *n_pairs = list->size();
    *searches = list->searches();
  });
}

int spinpot_take_pairs(const spinpot_pair_list* list, const spinpot_pairs* out, int64_t threads) {
  return guarded(threads, [&] { list->take(*out); });
}
