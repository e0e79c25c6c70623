#include "compute_spinpot_temperature.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "atom.h"
#include "error.h"
#include "fix.h"
#include "fix_spinpot_columns.h"
#include "force.h"
#include "kernels.h"
#include "modify.h"
#include "pair.h"
#include "update.h"

using namespace LAMMPS_NS;
using namespace spinpot;

namespace {

constexpr double STEP = 1e-4; /* μ_B */

double dot(const double* a, const double* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

/* The arrays and numbers that evaluations overwrite. */
struct Kept {
  std::vector<double> sp, f, fm;
  double numbers[8] = {};
};

std::vector<double> rows(double** from, int count) {
  return count ? std::vector<double>(from[0], from[0] + count) : std::vector<double>();
}

Kept keep(const Atom* atom, const Pair* pair) {
  Kept kept{rows(atom->sp, 4 * atom->nlocal), rows(atom->f, 3 * atom->nlocal), rows(atom->fm, 3 * atom->nlocal)};
  if (!pair) return kept;
  std::copy_n(pair->virial, 6, kept.numbers);
  kept.numbers[6] = pair->eng_vdwl;
  kept.numbers[7] = pair->eng_coul;
  return kept;
}

void put_spins(const Kept& kept, Atom* atom) {
  if (atom->nlocal) std::copy(kept.sp.begin(), kept.sp.end(), atom->sp[0]);
}

void put_forces(const Kept& kept, Atom* atom, Pair* pair) {
  if (atom->nlocal) {
    std::copy(kept.f.begin(), kept.f.end(), atom->f[0]);
    std::copy(kept.fm.begin(), kept.fm.end(), atom->fm[0]);
  }
  if (!pair) return;
  std::copy_n(kept.numbers, 6, pair->virial);
  pair->eng_vdwl = kept.numbers[6];
  pair->eng_coul = kept.numbers[7];
}

}  // namespace

ComputeSpinpotTemperature::ComputeSpinpotTemperature(LAMMPS* lammps, int count, char** words)
    : Compute(lammps, count, words), forces(lammps) {
  if (!atom->sp_flag) error->all(FLERR, "compute spinpot/temperature: the atoms have no spins. Use atom_style spin");
  if (count != 3 && (count != 5 || std::strcmp(words[3], "seed") != 0))
    error->all(FLERR, "compute spinpot/temperature: expected no more words, or seed and an integer above 0");
  if (count == 5) seed = utils::bnumeric(FLERR, words[4], false, lmp);
  if (seed < 1) error->all(FLERR, "compute spinpot/temperature: seed {}. Expected an integer above 0", words[4]);
  try {
    kernels();
  } catch (const std::runtime_error& failure) {
    error->all(FLERR, std::string("compute spinpot/temperature: ") + failure.what());
  }
  scalar_flag = vector_flag = timeflag = 1;
  size_vector = 2;
  extscalar = extvector = 0;
  vector = new double[2];
}

ComputeSpinpotTemperature::~ComputeSpinpotTemperature() { delete[] vector; }

void ComputeSpinpotTemperature::init() {
  forces.init();
  const auto found = modify->get_fix_by_style("^spinpot$");
  dynamics = found.empty() ? nullptr : found.front();
}

double ComputeSpinpotTemperature::compute_scalar() {
  if (invoked_vector != update->ntimestep) compute_vector();
  invoked_scalar = update->ntimestep;
  scalar = vector[1] != 0 ? vector[0] / vector[1] : 0;
  return scalar;
}

void ComputeSpinpotTemperature::compute_vector() {
  invoked_vector = update->ntimestep;
  const Kept kept = keep(atom, force->pair);
  double here = 0, there = 0, square = 0;
  draw_directions();
  forces.pairs_only();
  sums_here(&here, &square);
  step_aside();
  forces.pairs_only();
  sums_here(&there, nullptr);
  put_spins(kept, atom);
  forces.of_fixes(); /* so that their energies are those of these spins */
  put_forces(kept, atom, force->pair);
  const double own[2] = {square / force->boltz, (there - here) / STEP};
  MPI_Allreduce(own, vector, 2, MPI_DOUBLE, MPI_SUM, world);
}

void ComputeSpinpotTemperature::draw_directions() {
  std::vector<int64_t> ids;
  spins.clear();
  for (int i = 0; i < atom->nlocal; ++i)
    if ((atom->mask[i] & groupbit) && atom->sp[i][3] > 0) {
      spins.push_back(i);
      ids.push_back(atom->tag[i]);
    }
  aside.resize(3 * spins.size());
  if (kernels().normals(seed, update->ntimestep, TEMPERATURE, ids.data(), int64_t(ids.size()), 3, aside.data()))
    error->one(FLERR, std::string("compute spinpot/temperature: ") + kernels().error());
  for (size_t s = 0; s < spins.size(); ++s) {
    double* u = &aside[3 * s];
    const double* n = atom->sp[spins[s]];
    const double along = dot(n, u);
    for (int k = 0; k < 3; ++k) u[k] -= along * n[k];
    const double length = std::sqrt(dot(u, u));
    for (int k = 0; k < 3; ++k) u[k] /= length;
  }
}

/* Each S moves by √2 u per unit of the path: |√2 u|² = 2 is the number of its transverse directions. slope: dE/ds. */
void ComputeSpinpotTemperature::sums_here(double* slope, double* square) {
  for (size_t s = 0; s < spins.size(); ++s) {
    const double* n = atom->sp[spins[s]];
    double field[3];
    field_of(spins[s], field);
    *slope -= std::sqrt(2) * dot(field, &aside[3 * s]);
    const double along = dot(field, n);
    if (square) *square += dot(field, field) - along * along;
  }
}

void ComputeSpinpotTemperature::field_of(int i, double* field) const {
  forces.field_of(i, field);
  if (!dynamics || !(atom->mask[i] & dynamics->groupbit)) return;
  int dimensions;
  const auto* outer = static_cast<const double*>(dynamics->extract("field", dimensions));
  for (int k = 0; k < 3; ++k) field[k] += outer[k];
}

/* Moves the spins along u on their spheres; u rotates with S. */
void ComputeSpinpotTemperature::step_aside() {
  for (size_t s = 0; s < spins.size(); ++s) {
    double *n = atom->sp[spins[s]], *u = &aside[3 * s];
    const double angle = std::sqrt(2) * STEP / n[3], c = std::cos(angle), w = std::sin(angle);
    for (int k = 0; k < 3; ++k) {
      const double across = u[k];
      u[k] = c * across - w * n[k];
      n[k] = c * n[k] + w * across;
    }
  }
}
