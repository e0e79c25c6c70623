/* fix spinpot: keywords, and checks of settings, system and other fixes. */

#include <cmath>
#include <cstring>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "fix_spinpot.h"
#include "force.h"
#include "kspace.h"
#include "modify.h"
#include "update.h"

using namespace LAMMPS_NS;
using namespace FixConst;

namespace {

constexpr double BOHR_MAGNETON = 5.7883818060e-5; /* eV/T */

std::string named(Fix* fix) { return std::string("fix ") + fix->id + " (" + fix->style + ")"; }

}  // namespace

void FixSpinpot::refuse(const std::string& words) const { error->all(FLERR, "fix spinpot: " + words); }

/* Reads a keyword and its values; returns the number of words read. */
int FixSpinpot::read_keyword(int left, char** words) {
  const std::string keyword = words[0];
  if (keyword == "field") {
    read_numbers(words[0], left, words, field, 3);
    for (double& component : field) component *= BOHR_MAGNETON;
    return 4;
  }
  if (left < 2) refuse("a value is missing after " + keyword);
  const std::string value = words[1];
  if (keyword == "lattice") {
    if (value != "moving" && value != "frozen") refuse("lattice " + value + ". Expected lattice moving or frozen");
    moving = value == "moving";
  } else if (keyword == "seed") {
    seed = utils::bnumeric(FLERR, value, false, lmp);
    if (seed < 0) refuse("seed " + value + ". Expected an integer that is not negative");
  } else {
    double* number = keyword == "damping"       ? &damping
                     : keyword == "temperature" ? &temperature
                     : keyword == "friction"    ? &friction
                     : keyword == "tolerance"   ? &tolerance
                                                : nullptr;
    if (!number)
      refuse("unknown keyword " + keyword +
             ". Expected lattice, damping, temperature, friction, seed, field or tolerance");
    read_numbers(words[0], left, words, number, 1);
    if (!(*number >= 0)) refuse(keyword + " " + value + ". Expected a number that is not negative");
  }
  return 2;
}

void FixSpinpot::read_numbers(const char* keyword, int left, char** words, double* numbers, int count) {
  if (left < count + 1) refuse(std::string(keyword) + " needs " + (count == 3 ? "three numbers" : "a number"));
  for (int k = 0; k < count; ++k) numbers[k] = utils::numeric(FLERR, words[k + 1], false, lmp);
}

void FixSpinpot::check_settings() const {
  if (!atom->sp_flag) refuse("the atoms have no spins. Use atom_style spin");
  if (!atom->tag_enable) refuse("the atoms have no IDs, which their random numbers need. Use atom_modify id yes");
  if (!(tolerance >= 1e-14)) refuse("the tolerance is below 1e-14 μ_B, less than rounding errors. Give a larger one");
  if (!moving && friction > 0)
    refuse("friction acts only on atoms that this fix moves. Leave it out, or use lattice moving");
  if (temperature > 0 && !(damping > 0) && !(friction > 0))
    refuse("there is a temperature, but nothing is coupled to the heat bath. Give a damping of the spins, such as 0.1" +
           std::string(moving ? ", or a friction of the atoms, such as 1.0 (1/ps)" : ""));
  if (temperature > 0 && seed < 0) refuse("a temperature needs a seed for its random numbers, such as seed 12345");
}

void FixSpinpot::check_system() const {
  if (std::strcmp(update->unit_style, "metal") != 0)
    refuse(std::string("units ") + update->unit_style + ". Expected units metal");
  if (!force->newton_pair) refuse("newton is off. Spins need newton on");
  if (atom->torque_flag) refuse("it does not support atoms that rotate as bodies. Use atom_style spin alone");
  if (!utils::strmatch(update->integrate_style, "^verlet$"))
    refuse(std::string("run_style ") + update->integrate_style + ". Expected run_style verlet");
  if (lmp->kokkos) refuse("it does not run under KOKKOS: start LAMMPS without -k on and -sf kk");
  for (const char* package : {"package_gpu", "package_omp", "package_intel"})
    if (modify->get_fix_by_id(package))
      refuse(std::string("it does not run together with the accelerator of ") + package +
             ": start LAMMPS without -sf and without the package command");
  if (force->kspace && force->kspace->spinflag) refuse("it does not support long-range solvers for spins");
  const bool of_lammps = force->pair_match("^spin/", 0) || force->pair_match("^spin/", 0, 1);
  if (moving && of_lammps && comm->me == 0)
    error->warning(FLERR,
                   "fix spinpot lattice moving: without fix nve/spin, LAMMPS' pair styles spin/... exert no forces on "
                   "atoms, so the energy is not conserved. Use lattice frozen");
}

void FixSpinpot::check_other_fixes() {
  others_move_atoms = false;
  bool behind = false;
  for (Fix* other : modify->get_fix_list()) {
    if (other == this) {
      behind = true;
      continue;
    }
    check_fix_beside(other);
    const int mask = modify->get_fix_mask(other) & (INITIAL_INTEGRATE | POST_FORCE | FINAL_INTEGRATE | END_OF_STEP);
    if (!behind && mask && !acts_on_spins(other))
      refuse(named(other) + " must be defined after fix spinpot, because it uses the result of the spins' step");
    others_move_atoms = others_move_atoms || other->time_integrate;
    const bool tallied = other->thermo_energy || (other->thermo_virial && other->virial_global_flag);
    if (moving && tallied && (mask & POST_FORCE) && !acts_on_spins(other) && comm->me == 0)
      error->warning(FLERR, "{} sees the atoms half a drift before the end of a step: with it the total energy "
                     "oscillates in proportion to the timestep. Use lattice frozen and fix nve", named(other));
  }
  if (moving && others_move_atoms && comm->me == 0)
    error->warning(FLERR,
                   "fix spinpot lattice moving together with a fix that moves other atoms: their coupling is only of "
                   "first order in the timestep. For second order use lattice frozen, and another fix for all atoms");
  others_move_atoms = others_move_atoms && !moving;
}

void FixSpinpot::check_fix_beside(Fix* other) const {
  if (std::strcmp(other->style, style) == 0)
    refuse("there are two of it. All spins rotate together: use one fix spinpot for all of them");
  if (begins(other->style, {"nve/spin", "langevin/spin", "neb/spin"}))
    refuse(named(other) + " also moves the spins. Leave it out: damping and temperature are keywords of fix spinpot");
  if (!moving || !shares_atoms(other)) return;
  if (other->time_integrate)
    refuse(named(other) + " also moves the same atoms. Leave it out, or use lattice frozen");
  if (begins(other->style, {"langevin"}))
    refuse(named(other) + " acts on the same atoms. Use friction and temperature of fix spinpot, or lattice frozen "
                          "and a fix that moves the atoms");
}

bool FixSpinpot::shares_atoms(Fix* other) const {
  int own = 0, any = 0;
  for (int i = 0; i < atom->nlocal; ++i)
    if ((atom->mask[i] & groupbit) && (atom->mask[i] & other->groupbit)) own = 1;
  MPI_Allreduce(&own, &any, 1, MPI_INT, MPI_MAX, world);
  return any;
}
