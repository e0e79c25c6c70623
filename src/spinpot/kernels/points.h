// What the atoms of a frame may see: atoms, virtual atoms and their images, as points sorted into boxes.

#pragma once

#include <vector>

#include "interface.h"
#include "lattice.h"

namespace spinpot {

// Which pairs are looked for.
struct Search {
  const spinpot_frames& frames;
  // Å; pairs that are so much farther apart are found too.
  double skin;
  // Whether a virtual atom stands at its real atom, and is seen from as much farther as it is away from there.
  bool apart;
  // Of each element, whether any centre sees its virtual atoms, and whether its centres miss what others see.
  std::vector<char> with_virtual, excludes;

  Search(const spinpot_frames& own, double skin, bool apart);
  Vec displacement(int64_t atom) const { return vec_at(frames.displacement + 3 * atom); }
  // Of an atom, or of its virtual atom: where it is looked for, and up to which distance it is seen.
  Vec place(int64_t atom, bool is_virtual) const;
  double reach(int64_t atom, bool is_virtual) const;
  bool sees(int64_t element, int64_t type) const { return frames.seen[2 * element * frames.n_types + type] != 0; }
};

// Å; as spinpot.data.pairs: keeps atoms that rounding puts at the very edge.
constexpr double MARGIN = 1e-9;

class Points {
 public:
  Points() = default;
  // Of a frame with so many atoms, whose first one is given.
  Points(const Search& search, int64_t frame, int64_t first, int64_t atoms);

  // Puts the same points where their atoms are now.
  void move(const Search& search);

  int64_t size() const { return static_cast<int64_t>(atom_.size()); }
  // T…2T−1 for virtual atoms.
  int64_t type(int64_t k) const { return type_[k]; }
  // From one point to another; as exact as differences of coordinates are, however far the atoms are outside a cell.
  Vec vector(int64_t from, int64_t to) const {
    Vec made;
    for (int c = 0; c < 3; ++c) made[c] = (place_[c][to] - place_[c][from]) + (shift_[c][to] - shift_[c][from]);
    return made;
  }
  // The point that an atom, counted within the frame, is a centre at.
  int64_t home(int64_t own) const { return home_[own]; }

  // Writes the points that an atom, counted within the frame, sees into `found`, which has room for all; returns how
  // many. Excluded ones are among them.
  int64_t seen_from(int64_t own, int32_t* found) const;
  // The same among so many candidates.
  int64_t seen_from(int64_t own, const int32_t* candidates, int64_t count, int32_t* found) const;
  // Writes atoms, types and vectors, from one point, of so many others; returns the square of the least distance.
  double write(int64_t from, const int32_t* found, int64_t count, int64_t* atoms, int64_t* types,
               double* vectors) const;

 private:
  struct Site;
  // The boxes that an atom sees.
  struct Window {
    int32_t low[3], high[3];
  };
  void add(const Search& search, const Lattice& lattice, const std::vector<Site>& sites, int64_t number);
  void sort(double reach);
  void arrange(const std::vector<int32_t>& place);
  int64_t box_at(int64_t a, int64_t b, int64_t c) const { return (a * boxes_[1] + b) * boxes_[2] + c; }
  template <typename At>
  int64_t seen_of(int64_t own, const At& at, int64_t number, int32_t* found) const;

  // limit: the square of the distance that a point is seen from; at: where the point is, by axis; place: where the
  // atom or the virtual atom is that it is an image of; shift: from there to the point.
  std::vector<double> limit_, at_[3], place_[3], shift_[3];
  std::vector<int32_t> atom_, type_, home_;
  // How many boxes along each axis, where each begins among the points, and what each atom sees of them.
  int64_t boxes_[3] = {1, 1, 1};
  std::vector<int32_t> begin_;
  std::vector<Window> windows_;
};

}  // namespace spinpot
