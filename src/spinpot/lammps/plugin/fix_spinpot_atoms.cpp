/* fix spinpot: per-atom data, their exchange between ranks, and restarts. */

#include <algorithm>

#include "atom.h"
#include "comm.h"
#include "fix_spinpot.h"
#include "fix_spinpot_columns.h"
#include "memory.h"

using namespace LAMMPS_NS;
using namespace spinpot;

void FixSpinpot::grow_arrays(int size) { memory->grow(kept, size, COLUMNS, "fix spinpot:kept"); }

void FixSpinpot::copy_arrays(int from, int to, int /*erase*/) { std::copy_n(kept[from], int(COLUMNS), kept[to]); }

void FixSpinpot::set_arrays(int i) { std::fill_n(kept[i], int(COLUMNS), 0.0); }

int FixSpinpot::pack_exchange(int i, double* buffer) {
  std::copy_n(kept[i], int(COLUMNS), buffer);
  return COLUMNS;
}

int FixSpinpot::unpack_exchange(int i, double* buffer) {
  std::copy_n(buffer, int(COLUMNS), kept[i]);
  return COLUMNS;
}

int FixSpinpot::size_restart(int /*atom*/) { return BETWEEN_STEPS + 1; }

int FixSpinpot::maxsize_restart() { return BETWEEN_STEPS + 1; }

/* The first number must be their count: LAMMPS uses it to find the numbers of the next fix. */
int FixSpinpot::pack_restart(int i, double* buffer) {
  buffer[0] = BETWEEN_STEPS + 1;
  std::copy_n(kept[i], int(BETWEEN_STEPS), buffer + 1);
  return BETWEEN_STEPS + 1;
}

void FixSpinpot::unpack_restart(int i, int nth) {
  const double* numbers = atom->extra[i];
  for (int k = 0; k < nth; ++k) numbers += static_cast<int>(numbers[0]);
  set_arrays(i);
  if (static_cast<int>(numbers[0]) != size_restart(i)) return; /* written by another build: the history starts empty */
  std::copy_n(numbers + 1, int(BETWEEN_STEPS), kept[i]);
}

void FixSpinpot::write_restart(FILE* file) {
  if (comm->me != 0) return;
  const int size = sizeof contraction;
  std::fwrite(&size, sizeof size, 1, file);
  std::fwrite(&contraction, sizeof contraction, 1, file);
}

void FixSpinpot::restart(char* buffer) {
  std::copy_n(buffer, sizeof contraction, reinterpret_cast<char*>(&contraction));
}

double FixSpinpot::memory_usage() { return double(atom->nmax) * COLUMNS * sizeof(double); }
