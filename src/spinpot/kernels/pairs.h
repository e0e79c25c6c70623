// Neighbour pairs of frames, and the list of structures that move.

#pragma once

#include <vector>

#include "points.h"

/* Pairs within a cutoff; kept, with a skin, while atoms move little. */
struct spinpot_pair_list {
 public:
  explicit spinpot_pair_list(double skin) : skin_(skin) {}

  void find(const spinpot_frames& frames);
  void take(const spinpot_pairs& out) const;
  int64_t size() const { return found_.start.empty() ? 0 : found_.start.back(); }
  int64_t searches() const { return searches_; }

 private:
  // Some atoms of one frame, one after the other.
  struct Block {
    int64_t frame, first_atom, begin, end;
  };
  // Of each atom, the points that it sees: where they begin, and for each block which they are.
  struct Seen {
    std::vector<int64_t> start;
    std::vector<std::vector<int32_t>> points;
  };
  // What a search was for: all but where atoms and virtual atoms are, and that.
  struct Before {
    std::vector<double> fixed;
    std::vector<spinpot::Vec> coord;
    std::vector<double> lengths;
  };

  void search(const spinpot::Search& search);
  Seen look(const spinpot::Search& search, const Seen* candidates) const;
  bool hold(const spinpot_frames& frames) const;
  void fill(size_t block, const spinpot_pairs& out, double* closest) const;
  double displace(int64_t begin, int64_t end, const spinpot_pairs& out) const;

  double skin_;
  int64_t searches_ = 0, n_types_ = 0;
  std::vector<Block> blocks_;
  std::vector<spinpot::Points> points_;
  Seen candidates_, found_;
  // Of virtual atoms that stand at their atoms, else none.
  std::vector<spinpot::Vec> away_;
  Before before_;
};
