/* fix spinpot: dynamics of spins and atoms with a time-symmetric step of second order.

   dS/dt = S × A,  A = −(g/ħ)/(1 + α²) · (B + α/|S| S × B),  B = −∂E/∂S + field + noise.

   lattice moving: half a drift of the atoms; a kick of spins and momenta by the fields and forces at the spins'
   midpoint (McLachlan, Modin, Verdier, Phys. Rev. E 89, 061301, 2014), with friction in its middle; half a drift.
   lattice frozen: only the spins move. Together with a fix that moves the atoms: half a step of the spins before that
   fix and half a step after it. */

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fix.h"
#include "spin_forces.h"

namespace LAMMPS_NS {

class FixSpinpot : public Fix {
 public:
  FixSpinpot(LAMMPS* lammps, int count, char** words);
  ~FixSpinpot() override;

  int setmask() override;
  void init() override;
  void setup(int vflag) override;
  void initial_integrate(int vflag) override;
  void pre_force(int vflag) override;
  void post_force(int vflag) override;
  void min_post_force(int vflag) override;
  void final_integrate() override;
  void end_of_step() override;

  /* The energy −Σ S·H of the field. */
  double compute_scalar() override;
  /* Mean number of evaluations per step since the start of the run. */
  double compute_vector(int which) override;
  /* "field": three numbers, eV/μ_B. */
  void* extract(const char* name, int& dimensions) override;

  void grow_arrays(int size) override;
  void copy_arrays(int from, int to, int erase) override;
  void set_arrays(int atom) override;
  int pack_exchange(int atom, double* buffer) override;
  int unpack_exchange(int atom, double* buffer) override;
  int pack_restart(int atom, double* buffer) override;
  void unpack_restart(int atom, int nth) override;
  int size_restart(int atom) override;
  int maxsize_restart() override;
  void write_restart(FILE* file) override;
  void restart(char* buffer) override;
  double memory_usage() override;

 private:
  /* Settings. */
  bool moving = true;
  double damping = 0, temperature = 0, friction = 0, tolerance = 1e-6; /* K, 1/ps, μ_B */
  double field[3] = {0, 0, 0};                                        /* eV/μ_B */
  int64_t seed = -1;

  bool others_move_atoms = false;
  SpinForces forces;

  /* Per-atom data that move with the atom: fields of the last steps, and during a step S and S'. */
  double** kept = nullptr;
  int history = 0; /* first column of the history for the current kind of step */

  /* The rotating spins of this rank; valid until atoms are exchanged or sorted. */
  std::vector<int> turning;
  std::vector<int64_t> ids;
  std::vector<double> before, middle, after, at_middle, noise;

  /* The last change of S' in this step, and its ratio to the one before. */
  double last_change = 0, contraction = 1;

  std::vector<double> made; /* f as evaluated, without what other fixes add */
  int virial_flags = 0;
  bool state_wanted = false;
  bigint begun = -1; /* the current step */
  int64_t evaluations = 0, steps = 0;

  int read_keyword(int left, char** words);
  void read_numbers(const char* keyword, int left, char** words, double* numbers, int count);
  void check_settings() const;
  [[noreturn]] void refuse(const std::string& words) const;
  void done(int code) const;

  void check_system() const;
  void check_other_fixes();
  void check_fix_beside(Fix* other) const;
  bool shares_atoms(Fix* other) const;

  void predict(double dt, int purpose);
  void collect();
  void resume();
  void draw_noise(double dt, int purpose);
  void iterate(double dt);
  bool turn(double dt);
  double turned(double dt);
  void take_fields(bool first);
  void set_spins(const std::vector<double>& spins);

  void drift(double dt);
  void kick(double dt);
  void rub(double dt);
  double mass_of(int atom) const;

  void half_step(int purpose);
  void evaluate(int eflag, int vflag);
  std::vector<double> owned_forces() const;
  std::vector<double> added_by_others() const;
  void set_forces(const std::vector<double>& total);
  void add(const std::vector<double>& added);
  bool is_state_wanted() const;
};

}  // namespace LAMMPS_NS
