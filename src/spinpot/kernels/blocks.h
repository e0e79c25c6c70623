// The atoms of a batch in blocks, each of one element, and sums over their pairs on several threads.

#pragma once

#include <numeric>
#include <vector>

#include "guard.h"
#include "interface.h"
#include "memory.h"
#include "parallel.h"

namespace spinpot {

// Atoms of one element: a list of indices.
struct Centres {
  int64_t type, count;
  const int64_t* atoms;
};

// Divides the atoms into blocks of one element and at most `most` atoms. If `most` is 0, there is one block for each
// element, which may be empty. atom_order: the atoms sorted by element.
inline std::vector<Centres> blocks_of(int64_t types, const int64_t* type_sizes, const int64_t* atom_order,
                                      int64_t most) {
  std::vector<Centres> blocks;
  for (int64_t t = 0; t < types; atom_order += type_sizes[t++]) {
    if (most == 0) blocks.push_back({t, type_sizes[t], atom_order});
    for (int64_t first = 0; most > 0 && first < type_sizes[t]; first += most)
      blocks.push_back({t, std::min(most, type_sizes[t] - first), atom_order + first});
  }
  return blocks;
}

// Calls body(block number, thread) for all blocks. The blocks run in parallel if they keep all threads about equally
// busy, since threads then rarely wait for each other. Otherwise the blocks run one after the other, each on all threads.
template <typename Body>
void each_block(const std::vector<Centres>& blocks, const Body& body) {
  const int64_t count = blocks.size(), parts = parts_of(count, 1);
  int64_t most = 0, all = 0;
  for (int64_t part = 0; part < parts; ++part) {
    int64_t atoms = 0;
    for (int64_t b = part * count / parts; b < (part + 1) * count / parts; ++b) atoms += blocks[b].count;
    most = std::max(most, atoms);
    all += atoms;
  }
  const bool equal = most * threads_here() <= all + all / 8;
  parallel_parts(count, equal ? 1 : count, [&](int64_t begin, int64_t end, int64_t thread) {
    for (int64_t b = begin; b < end; ++b) body(b, thread);
  });
}

// Sums of the forces of all atoms and the virials of all structures.
template <typename T>
struct Forces {
  T *force, *force_mag, *virial;
};

// Sums for each thread: the first thread adds to the given arrays, the others to arrays of zeros. If the given arrays are
// null, all are null.
template <typename T>
std::vector<Forces<T>> with_other_threads(const Forces<T>& first, int64_t atoms, int64_t frames, Workspace& memory) {
  std::vector<Forces<T>> all{first};
  if (!first.force) all.resize(threads_here());
  while (int64_t(all.size()) < threads_here())
    all.push_back({memory.zeros<T>(3 * atoms), memory.zeros<T>(3 * atoms), memory.zeros<T>(9 * frames)});
  return all;
}

// Like with_other_threads, but the first thread's arrays are those of `out`, which are set to zero.
template <typename T>
std::vector<Forces<T>> forces_of_threads(const spinpot_derivatives& out, int64_t atoms, int64_t frames,
                                         Workspace& memory) {
  const Forces<T> first{static_cast<T*>(out.force), static_cast<T*>(out.force_mag), static_cast<T*>(out.virial)};
  if (!first.force) return with_other_threads(first, atoms, frames, memory);
  std::fill_n(first.force, 3 * atoms, T(0));
  std::fill_n(first.force_mag, 3 * atoms, T(0));
  std::fill_n(first.virial, 9 * frames, T(0));
  return with_other_threads(first, atoms, frames, memory);
}

// Adds the sums of the other threads to those of the first thread.
template <typename T>
void add_up(const std::vector<Forces<T>>& forces, int64_t atoms, int64_t frames) {
  if (!forces[0].force) return;
  const auto add = [](const T* numbers, int64_t count, T* to) {
    for (int64_t n = 0; n < count; ++n) to[n] += numbers[n];
  };
  for (size_t n = 1; n < forces.size(); ++n) {
    add(forces[n].force, 3 * atoms, forces[0].force);
    add(forces[n].force_mag, 3 * atoms, forces[0].force_mag);
    add(forces[n].virial, 9 * frames, forces[0].virial);
  }
}

inline bool within(const int64_t* numbers, int64_t count, int64_t limit) {
  return std::all_of(numbers, numbers + count, [&](int64_t n) { return 0 <= n && n < limit; });
}

// Checks that the indices of a batch are within its arrays; pairs are checked when they are read.
template <typename In>
void check_batch(const In& in) {
  require(within(in.type_sizes, in.types, in.atoms + 1), "atoms of each element");
  const int64_t centres = std::accumulate(in.type_sizes, in.type_sizes + in.types, int64_t(0));
  require(centres <= in.atoms, "an element of each centre");
  require(within(in.atom_order, centres, in.atoms), "an order of the centres");
  require(within(in.frame, in.atoms, in.frames), "a structure of each atom");
  require(std::is_sorted(in.pair_start, in.pair_start + in.atoms + 1) && in.pair_start[0] >= 0 &&
              in.pair_start[in.atoms] <= in.pairs,
          "pairs sorted by their centres");
}

}  // namespace spinpot
