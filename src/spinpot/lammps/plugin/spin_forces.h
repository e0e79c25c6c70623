/* What acts on atoms and spins, evaluated outside LAMMPS' own turn. */

#pragma once

#include <initializer_list>
#include <vector>

#include "pointers.h"

namespace LAMMPS_NS {

class Fix;

class SpinForces : protected Pointers {
 public:
  explicit SpinForces(LAMMPS* lammps) : Pointers(lammps) {}

  /* Before each run: finds the fixes that act on spins alone. */
  void init();

  /* Fills f and fm at the present positions and spins: of the pair style alone, which is where spins interact. */
  void pairs_only();

  /* The same of all that depends on positions alone, too, with energies and virial as the flags say. */
  void all(int eflag, int vflag);

  /* What those fixes add to fm; their energies are those of the present spins then. */
  void of_fixes();

  /* Lets fixes that set forces, as setforce does, set those that were made anew. */
  void set_by_fixes();

  /* f and fm zero, of images too. */
  void clear();

  /* −∂E/∂S (eV/μ_B) of atom i from what was evaluated last. */
  void field_of(int i, double* field) const;

 private:
  std::vector<Fix*> of_spins, setting;

  void finish();
};

/* Whether a style's name begins with one of these. */
bool begins(const char* style, std::initializer_list<const char*> names);

/* Whether it acts on spins alone, as fix precession/spin does. */
bool acts_on_spins(const Fix* fix);

/* The moment S (μ_B) of an atom, and back: its length stays as it is. */
void take_spin(const double* sp, double* spin);
void set_direction(const double* spin, double* sp);

}  // namespace LAMMPS_NS
