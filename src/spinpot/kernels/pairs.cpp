#include "pairs.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>

#include "guard.h"

using spinpot::dot;
using spinpot::plus;
using spinpot::Points;
using spinpot::Search;
using spinpot::Vec;
using spinpot::vec_at;

namespace {

// Atoms of one frame that a thread looks at in one go.
constexpr int64_t ATOMS = 256;
// Å; farther away no number has the digits of a distance.
constexpr double FARTHEST = 1e15;

bool near(const double* numbers) {
  return std::all_of(numbers, numbers + 3, [](double number) { return std::abs(number) < FARTHEST; });
}

void check(const spinpot_frames& frames) {
  spinpot::require(frames.cutoff > 0.0 && frames.cutoff < FARTHEST, "a cutoff above 0 Å");
  spinpot::require(frames.n_frames >= 0 && frames.n_types > 0, "frames and elements");
  int64_t rest = frames.total_atoms, atom = 0;
  spinpot::require(rest >= 0 && rest < std::numeric_limits<int32_t>::max() / 2, "fewer atoms in one call");
  for (int64_t frame = 0; frame < frames.n_frames; rest -= frames.n_atoms[frame++])
    spinpot::require(frames.n_atoms[frame] >= 0 && frames.n_atoms[frame] <= rest, "as many atoms as the frames have");
  spinpot::require(rest == 0, "as many atoms as the frames have");
  for (int64_t frame = 0; frame < frames.n_frames; ++frame) {
    const int64_t begin = atom;
    for (; atom < begin + frames.n_atoms[frame]; ++atom) {
      const auto refuse = [&](const char* expected) {
        const auto own = ", atom " + std::to_string(atom - begin) + " of frame " + std::to_string(frame);
        spinpot::require(false, (expected + own).c_str());
      };
      if (frames.types[atom] < 0 || frames.types[atom] >= frames.n_types) refuse("types from 0 to T − 1");
      if (!near(frames.coord + 3 * atom)) refuse("finite coordinates");
      if (!near(frames.displacement + 3 * atom)) refuse("a finite displacement");
    }
  }
}

double length(const Vec& own) { return std::sqrt(dot(own, own)); }

// All that pairs depend on but where atoms and virtual atoms are.
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

void spinpot_pair_list::find(const spinpot_frames& frames) {
  found_ = {};
  check(frames);
  const bool any = frames.any_direction != 0;
  if (skin_ == 0.0) {
    search(Search(frames, 0.0, any));
    found_ = std::move(candidates_);
  } else {
    if (!hold(frames)) search(Search(frames, skin_ + spinpot::MARGIN, true));
    const Search now(frames, 0.0, any);
    spinpot::parallel(points_.size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t frame = begin; frame < end; ++frame) points_[frame].move(now);
    });
    found_ = look(now, &candidates_);
  }
  away_.clear();
  if (any)
    for (int64_t atom = 0; atom < frames.total_atoms; ++atom) away_.push_back(vec_at(frames.displacement + 3 * atom));
}

// Whether no pair but the candidates can have come within reach: two atoms come closer by at most twice the largest
// move, a virtual atom by its own lengthening besides.
bool spinpot_pair_list::hold(const spinpot_frames& frames) const {
  if (searches_ == 0 || before_.fixed != fixed_of(frames)) return false;
  double moved = 0.0, lengthened = 0.0;
  for (size_t atom = 0; atom < before_.coord.size(); ++atom) {
    moved = std::max(moved, length(plus(before_.coord[atom], -1.0, vec_at(frames.coord + 3 * atom))));
    const double now = length(vec_at(frames.displacement + 3 * atom));
    lengthened = std::max(lengthened, now - before_.lengths[atom]);
  }
  return 2.0 * moved + lengthened <= skin_;
}

void spinpot_pair_list::search(const Search& search) {
  const spinpot_frames& frames = search.frames;
  before_ = {};
  n_types_ = frames.n_types;
  blocks_.clear();
  std::vector<int64_t> first{0};
  for (int64_t frame = 0; frame < frames.n_frames; ++frame) {
    const int64_t begin = first.back(), end = begin + frames.n_atoms[frame];
    for (int64_t atom = begin; atom < end; atom += ATOMS)
      blocks_.push_back({frame, begin, atom, std::min(atom + ATOMS, end)});
    first.push_back(end);
  }
  points_.assign(frames.n_frames, Points());
  spinpot::parallel(frames.n_frames, 1, [&](int64_t begin, int64_t end) {
    for (int64_t frame = begin; frame < end; ++frame)
      points_[frame] = Points(search, frame, first[frame], frames.n_atoms[frame]);
  });
  candidates_ = look(search, nullptr);
  ++searches_;
  if (skin_ == 0.0) return;
  before_.fixed = fixed_of(frames);
  for (int64_t atom = 0; atom < first.back(); ++atom) {
    before_.coord.push_back(vec_at(frames.coord + 3 * atom));
    before_.lengths.push_back(length(search.displacement(atom)));
  }
}

// The points that atoms see, among candidates where those are given.
spinpot_pair_list::Seen spinpot_pair_list::look(const Search& search, const Seen* candidates) const {
  Seen made;
  made.start.resize(blocks_.empty() ? 1 : blocks_.back().end + 1);
  made.points.resize(blocks_.size());
  spinpot::parallel(blocks_.size(), 1, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> room;
    for (int64_t block = begin; block < end; ++block) {
      const Block& own = blocks_[block];
      const Points& points = points_[own.frame];
      int64_t count = 0;
      for (int64_t atom = own.begin; atom < own.end; ++atom) {
        if (static_cast<int64_t>(room.size()) < count + points.size()) room.resize(2 * (count + points.size()));
        int32_t* found = room.data() + count;
        int64_t number;
        if (candidates) {
          const int64_t* start = candidates->start.data() + atom;
          const int32_t* first = candidates->points[block].data() + start[0] - candidates->start[own.begin];
          number = points.seen_from(atom - own.first_atom, first, start[1] - start[0], found);
        } else {
          number = points.seen_from(atom - own.first_atom, found);
        }
        const int64_t element = search.frames.types[atom];
        if (!candidates && search.excludes[element])
          number = std::remove_if(found, found + number,
                                  [&](int32_t k) { return !search.sees(element, points.type(k)); }) - found;
        count += number;
        made.start[atom + 1] = number;
      }
      made.points[block].assign(room.begin(), room.begin() + count);
    }
  });
  for (size_t atom = 1; atom < made.start.size(); ++atom) made.start[atom] += made.start[atom - 1];
  return made;
}

void spinpot_pair_list::take(const spinpot_pairs& out) const {
  spinpot::require(!found_.start.empty(), "pairs that were found");
  std::copy(found_.start.begin(), found_.start.end(), out.start);
  const int64_t blocks = blocks_.size();
  std::vector<double> closest(n_types_ * spinpot::parts_of(blocks, 1), std::numeric_limits<double>::infinity());
  spinpot::parallel_parts(blocks, 1, [&](int64_t begin, int64_t end, int64_t part) {
    for (int64_t block = begin; block < end; ++block) fill(block, out, closest.data() + part * n_types_);
  });
  std::copy(closest.begin(), closest.begin() + n_types_, out.closest);
  for (size_t k = n_types_; k < closest.size(); ++k)
    out.closest[k % n_types_] = std::min(out.closest[k % n_types_], closest[k]);
}

void spinpot_pair_list::fill(size_t block, const spinpot_pairs& out, double* closest) const {
  const Block& own = blocks_[block];
  const Points& points = points_[own.frame];
  const int32_t* found = found_.points[block].data();
  for (int64_t atom = own.begin; atom < own.end; ++atom) {
    const int64_t home = points.home(atom - own.first_atom), first = found_.start[atom];
    const int64_t size = found_.start[atom + 1] - first;
    double least = points.write(home, found, size, out.neighbour + first, out.type + first, out.vector + 3 * first);
    if (!away_.empty()) least = displace(first, first + size, out);
    int64_t* counts = out.counts + 2 * n_types_ * atom;
    std::fill(counts, counts + 2 * n_types_, 0);
    for (int64_t pair = first; pair < first + size; ++pair) ++counts[out.type[pair]];
    double& of_element = closest[points.type(home)];
    of_element = std::min(of_element, std::sqrt(least));
    found += size;
  }
}

// Moves neighbours that are virtual atoms from their atoms to where they stand. Returns the square of how close any
// may come in another direction.
double spinpot_pair_list::displace(int64_t begin, int64_t end, const spinpot_pairs& out) const {
  double least = std::numeric_limits<double>::infinity();
  for (int64_t pair = begin; pair < end; ++pair) {
    const Vec vector = vec_at(out.vector + 3 * pair);
    double distance = length(vector);
    if (out.type[pair] >= n_types_) {
      const Vec& away = away_[out.neighbour[pair]];
      const Vec made = plus(vector, 1.0, away);
      std::copy(made.begin(), made.end(), out.vector + 3 * pair);
      distance -= length(away);
    }
    least = std::min(least, distance * distance);
  }
  return least;
}

int spinpot_pair_list_new(double skin, spinpot_pair_list** list) {
  return spinpot::guarded(1, [&] {
    spinpot::require(skin >= 0.0 && skin < FARTHEST, "a skin from 0 Å on");
    *list = new spinpot_pair_list(skin);
  });
}

void spinpot_pair_list_free(spinpot_pair_list* list) { delete list; }

int spinpot_find_pairs(spinpot_pair_list* list, const spinpot_frames* frames, int64_t threads, int64_t* n_pairs,
                       int64_t* searches) {
  return spinpot::guarded(threads, [&] {
    list->find(*frames);
    *n_pairs = list->size();
    *searches = list->searches();
  });
}

int spinpot_take_pairs(const spinpot_pair_list* list, const spinpot_pairs* out, int64_t threads) {
  return spinpot::guarded(threads, [&] { list->take(*out); });
}
