/* Evaluates forces on atoms and spins outside LAMMPS' own force computation. */

#pragma once

#include <initializer_list>
#include <vector>

#include "pointers.h"

namespace LAMMPS_NS {

class Fix;

class SpinForces : protected Pointers {
 public:
  explicit SpinForces(LAMMPS* lammps) : Pointers(lammps) {}

  /* Call before each run: finds the fixes that act on spins, and those that set forces. */
  void init();

  /* Fills f and fm at the current positions and spins with the pair style only, in which spins interact. */
  void pairs_only();

  /* The same, including bonds, k-space etc., with energies and virial as the flags say. */
  void all(int eflag, int vflag);

  /* Adds the contributions of the fixes on spins to fm; updates their energies to the current spins. */
  void of_fixes();

  /* Lets fixes that set forces, such as setforce, act on newly evaluated forces. */
  void set_by_fixes();

  /* Sets f and fm to zero, also for ghost atoms. */
  void clear();

  /* −∂E/∂S (eV/μ_B) of atom i from the last evaluation. */
  void field_of(int i, double* field) const;

 private:
  std::vector<Fix*> of_spins, setting;

  void finish();
};

/* Whether the name of a style begins with one of these names. */
bool begins(const char* style, std::initializer_list<const char*> names);

/* Whether a fix acts only on spins, such as fix precession/spin. */
bool acts_on_spins(const Fix* fix);

/* take_spin reads the moment S (μ_B) of an atom; set_direction sets its direction and keeps its length. */
void take_spin(const double* sp, double* spin);
void set_direction(const double* spin, double* sp);

}  // namespace LAMMPS_NS
