#include "spin_forces.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "angle.h"
#include "atom.h"
#include "bond.h"
#include "comm.h"
#include "dihedral.h"
#include "fix.h"
#include "force.h"
#include "hbar.h"
#include "improper.h"
#include "kspace.h"
#include "modify.h"
#include "pair.h"

using namespace LAMMPS_NS;

bool LAMMPS_NS::begins(const char* style, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(),
                     [style](const char* name) { return std::strncmp(style, name, std::strlen(name)) == 0; });
}

bool LAMMPS_NS::acts_on_spins(const Fix* fix) { return begins(fix->style, {"precession/spin", "setforce/spin"}); }

void LAMMPS_NS::take_spin(const double* sp, double* spin) {
  for (int k = 0; k < 3; ++k) spin[k] = sp[3] * sp[k];
}

void LAMMPS_NS::set_direction(const double* spin, double* sp) {
  const double length = std::sqrt(spin[0] * spin[0] + spin[1] * spin[1] + spin[2] * spin[2]);
  for (int k = 0; k < 3; ++k) sp[k] = spin[k] / length;
}

void SpinForces::init() {
  of_spins.clear();
  setting.clear();
  for (Fix* fix : modify->get_fix_list()) {
    if (acts_on_spins(fix)) of_spins.push_back(fix);
    else if (begins(fix->style, {"setforce", "aveforce", "lineforce", "planeforce", "freeze", "enforce2d"}))
      setting.push_back(fix);
  }
}

void SpinForces::clear() {
  const size_t bytes = 3 * sizeof(double) * (atom->nlocal + atom->nghost);
  if (bytes == 0) return;
  for (double** rows : {atom->f, atom->fm, atom->fm_long}) std::memset(rows[0], 0, bytes);
}

void SpinForces::pairs_only() {
  comm->forward_comm();
  clear();
  if (force->pair && force->pair->compute_flag) force->pair->compute(0, 0);
  finish();
}

void SpinForces::all(int eflag, int vflag) {
  comm->forward_comm();
  clear();
  if (force->pair && force->pair->compute_flag) force->pair->compute(eflag, vflag);
  if (force->bond) force->bond->compute(eflag, vflag);
  if (force->angle) force->angle->compute(eflag, vflag);
  if (force->dihedral) force->dihedral->compute(eflag, vflag);
  if (force->improper) force->improper->compute(eflag, vflag);
  if (force->kspace && force->kspace->compute_flag) force->kspace->compute(eflag, vflag);
  finish();
}

void SpinForces::finish() {
  comm->reverse_comm();
  of_fixes();
}

void SpinForces::set_by_fixes() {
  for (Fix* fix : setting) fix->post_force(0);
}

void SpinForces::of_fixes() {
  for (Fix* fix : of_spins) fix->post_force(0);
}

void SpinForces::field_of(int i, double* field) const {
  const double unit = spinpot::hbar(force) / atom->sp[i][3];
  for (int k = 0; k < 3; ++k) field[k] = atom->fm[i][k] * unit;
}
