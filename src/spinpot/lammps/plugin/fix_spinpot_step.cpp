/* fix spinpot: the step. Midpoint iteration of the spins; drift, kick and friction of the atoms. */

#include <algorithm>
#include <cmath>

#include "atom.h"
#include "error.h"
#include "fix_spinpot.h"
#include "fix_spinpot_columns.h"
#include "hbar.h"
#include "kernels.h"
#include "update.h"

using namespace LAMMPS_NS;
using namespace spinpot;

namespace {

constexpr double G = 2; /* ratio of a moment in μ_B to its angular momentum in ħ */
constexpr int MOST_ITERATIONS = 30;

}  // namespace

/* Raises a LAMMPS error for an error code of the kernels. */
void FixSpinpot::done(int code) const {
  if (code) error->one(FLERR, std::string("fix spinpot: ") + kernels().error());
}

/* Sets the spins to their predicted midpoints, extrapolated from the fields of earlier steps. */
void FixSpinpot::predict(double dt, int purpose) {
  collect();
  draw_noise(dt, purpose);
  history = purpose == SECOND_HALVES ? HISTORY : 0;
  at_middle.resize(before.size());
  for (size_t k = 0; k < turning.size(); ++k)
    done(kernels().expected_fields(1, kept[turning[k]] + history, &at_middle[3 * k]));
  turned(dt);
  for (size_t k = 0; k < turning.size(); ++k) {
    std::copy_n(&before[3 * k], 3, kept[turning[k]] + BEFORE);
    std::copy_n(&after[3 * k], 3, kept[turning[k]] + AFTER);
  }
  set_spins(middle);
}

/* Collects the rotating spins at the start of a step. */
void FixSpinpot::collect() {
  turning.clear();
  ids.clear();
  for (int i = 0; i < atom->nlocal; ++i) {
    if (!(atom->mask[i] & groupbit) || !(atom->sp[i][3] > 0)) continue;
    turning.push_back(i);
    ids.push_back(atom->tag[i]);
  }
  before.resize(3 * turning.size());
  for (size_t k = 0; k < turning.size(); ++k) take_spin(atom->sp[turning[k]], &before[3 * k]);
  middle = after = before;
}

/* Collects them again in the middle of a step, because atoms may have come from other ranks. */
void FixSpinpot::resume() {
  collect();
  for (size_t k = 0; k < turning.size(); ++k) {
    std::copy_n(kept[turning[k]] + BEFORE, 3, &before[3 * k]);
    std::copy_n(kept[turning[k]] + AFTER, 3, &after[3 * k]);
  }
}

/* Draws the noise, constant during a step, with variance 2 α k_B T ħ/(g |S| dt). */
void FixSpinpot::draw_noise(double dt, int purpose) {
  noise.assign(before.size(), 0);
  if (!(damping * temperature > 0)) return;
  done(kernels().normals(seed, update->ntimestep, purpose, ids.data(), int64_t(ids.size()), 3, noise.data()));
  const double variance = 2 * damping * force->boltz * temperature * hbar(force) / (G * dt);
  for (size_t k = 0; k < noise.size(); ++k) noise[k] *= std::sqrt(variance / atom->sp[turning[k / 3]][3]);
}

/* Iterates to the midpoint between S and S', where S' is S rotated about the field at this midpoint. */
void FixSpinpot::iterate(double dt) {
  last_change = 0;
  for (int k = 0; k < MOST_ITERATIONS; ++k) {
    forces.pairs_only();
    ++evaluations;
    take_fields(k == 0);
    if (turn(dt)) return;
    set_spins(middle);
  }
  error->all(FLERR, "fix spinpot: the spins of a step of {} ps did not converge in {} iterations. Use a shorter "
             "timestep.", dt, MOST_ITERATIONS);
}

/* Rotates the spins once; returns whether S' has converged on all ranks. */
bool FixSpinpot::turn(double dt) {
  double own = turned(dt), change = 0;
  if (!std::isfinite(own)) own = HUGE_VAL;
  MPI_Allreduce(&own, &change, 1, MPI_DOUBLE, MPI_MAX, world);
  int64_t found = 0;
  done(kernels().spins_found(tolerance, damping, change, &last_change, &contraction, &found));
  return found != 0;
}

/* Rotates S about the model's field, the external field and the noise; returns the change of S'. */
double FixSpinpot::turned(double dt) {
  std::vector<double> acting(noise);
  for (size_t k = 0; k < acting.size(); ++k) acting[k] += at_middle[k] + field[k % 3];
  const double angle = G / hbar(force) * dt;
  const spinpot_turn turn{int64_t(turning.size()), angle, damping, before.data(), acting.data(), middle.data(),
                          after.data()};
  double change = 0;
  done(kernels().turn_spins(&turn, &change));
  return change;
}

/* Reads the model's fields at the midpoints, without longitudinal parts, which rotate no spin. first: of the step. */
void FixSpinpot::take_fields(bool first) {
  at_middle.resize(before.size());
  for (size_t k = 0; k < turning.size(); ++k) {
    double* found = &at_middle[3 * k];
    forces.field_of(turning[k], found);
    done(kernels().evaluated_fields(1, first, found, &middle[3 * k], kept[turning[k]] + history, found));
  }
}

void FixSpinpot::set_spins(const std::vector<double>& spins) {
  for (size_t k = 0; k < turning.size(); ++k) set_direction(&spins[3 * k], atom->sp[turning[k]]);
}

double FixSpinpot::mass_of(int i) const { return atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]]; }

void FixSpinpot::drift(double dt) {
  for (int i = 0; i < atom->nlocal; ++i)
    if (atom->mask[i] & groupbit)
      for (int k = 0; k < 3; ++k) atom->x[i][k] += dt * atom->v[i][k];
}

void FixSpinpot::kick(double dt) {
  for (int i = 0; i < atom->nlocal; ++i)
    if (atom->mask[i] & groupbit)
      for (int k = 0; k < 3; ++k) atom->v[i][k] += dt * force->ftm2v / mass_of(i) * atom->f[i][k];
}

/* Applies friction and its noise, exact over a time dt (an Ornstein-Uhlenbeck process). */
void FixSpinpot::rub(double dt) {
  if (friction == 0) return;
  const double stays = std::exp(-friction * dt);
  const double energy = (1 - stays * stays) * force->boltz * temperature / force->mvv2e;
  for (int i = 0; i < atom->nlocal; ++i) {
    if (!(atom->mask[i] & groupbit)) continue;
    const int64_t own = atom->tag[i];
    double drawn[3];
    done(kernels().normals(seed, update->ntimestep, ATOMS, &own, 1, 3, drawn));
    for (int k = 0; k < 3; ++k) atom->v[i][k] = stays * atom->v[i][k] + std::sqrt(energy / mass_of(i)) * drawn[k];
  }
}
