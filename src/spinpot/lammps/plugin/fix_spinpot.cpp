#include "fix_spinpot.h"

#include <cmath>
#include <cstring>
#include <stdexcept>

#include "atom.h"
#include "compute.h"
#include "error.h"
#include "fix_spinpot_columns.h"
#include "hbar.h"
#include "kernels.h"
#include "memory.h"
#include "modify.h"
#include "output.h"
#include "update.h"

using namespace LAMMPS_NS;
using namespace FixConst;
using namespace spinpot;

FixSpinpot::FixSpinpot(LAMMPS* lammps, int count, char** words) : Fix(lammps, count, words), forces(lammps) {
  for (int k = 3; k < count;) k += read_keyword(count - k, words + k);
  check_settings();
  try {
    kernels();
  } catch (const std::runtime_error& failure) {
    refuse(failure.what());
  }
  time_integrate = 1;
  nevery = 1;
  force_reneighbor = 1;
  next_reneighbor = -1;
  scalar_flag = vector_flag = global_freq = 1;
  size_vector = 1;
  extscalar = energy_global_flag = 1;
  extvector = 0;
  restart_global = restart_peratom = restart_pbc = create_attribute = 1;
  maxexchange = COLUMNS;
  grow_arrays(atom->nmax);
  atom->add_callback(Atom::GROW);
  atom->add_callback(Atom::RESTART);
  for (int i = 0; i < atom->nlocal; ++i) set_arrays(i);
}

FixSpinpot::~FixSpinpot() {
  atom->delete_callback(id, Atom::GROW);
  atom->delete_callback(id, Atom::RESTART);
  memory->destroy(kept);
}

int FixSpinpot::setmask() {
  return INITIAL_INTEGRATE | PRE_FORCE | POST_FORCE | FINAL_INTEGRATE | END_OF_STEP | MIN_POST_FORCE;
}

void FixSpinpot::init() {
  if (update->whichflag == 2) return; /* a minimisation: only the field of the fix acts */
  check_system();
  check_other_fixes();
  time_integrate = !others_move_atoms;
  forces.init();
}

void FixSpinpot::setup(int /*vflag*/) {
  evaluations = steps = 0;
  begun = -1;
  made = owned_forces();
}

void FixSpinpot::initial_integrate(int vflag) {
  ++steps;
  begun = update->ntimestep;
  virial_flags = vflag;
  state_wanted = is_state_wanted();
  if (others_move_atoms) {
    const auto added = added_by_others();
    half_step(SPINS);
    evaluate(0, vflag);
    add(added);
    forces.set_by_fixes();
    return;
  }
  if (moving) drift(0.5 * update->dt);
  /* At the end of the step the atoms have drifted by another half step. A list built now still has all neighbours. */
  if (moving && state_wanted) next_reneighbor = update->ntimestep;
  predict(update->dt, SPINS);
}

void FixSpinpot::pre_force(int /*vflag*/) {
  if (others_move_atoms) return;
  resume();
  draw_noise(update->dt, SPINS);
  iterate(update->dt);
  forces.clear(); /* LAMMPS evaluates again, at the same midpoint */
}

void FixSpinpot::post_force(int /*vflag*/) { made = owned_forces(); }

/* Adds the field to fm, which a minimisation uses to rotate spins. */
void FixSpinpot::min_post_force(int /*vflag*/) {
  for (int i = 0; i < atom->nlocal; ++i)
    if (atom->mask[i] & groupbit)
      for (int k = 0; k < 3; ++k) atom->fm[i][k] += field[k] * atom->sp[i][3] / hbar(force);
}

void FixSpinpot::final_integrate() {
  if (others_move_atoms) return;
  if (moving) {
    kick(0.5 * update->dt);
    rub(update->dt);
    kick(0.5 * update->dt);
    drift(0.5 * update->dt);
  }
  set_spins(after);
}

void FixSpinpot::end_of_step() {
  if (begun != update->ntimestep || (!others_move_atoms && !state_wanted)) return; /* `rerun` begins no step */
  const auto added = added_by_others();
  if (others_move_atoms) half_step(SECOND_HALVES);
  if (state_wanted) {
    const bool global = update->eflag_global == update->ntimestep, of_atoms = update->eflag_atom == update->ntimestep;
    evaluate((global ? ENERGY_GLOBAL : 0) | (of_atoms ? ENERGY_ATOM : 0), virial_flags);
  } else {
    set_forces(made);
  }
  add(added);
  forces.set_by_fixes();
}

/* Advances the spins by half a step with fixed atoms. */
void FixSpinpot::half_step(int purpose) {
  predict(0.5 * update->dt, purpose);
  iterate(0.5 * update->dt);
  set_spins(after);
}

/* Evaluates the forces of the current state. */
void FixSpinpot::evaluate(int eflag, int vflag) {
  forces.all(eflag, vflag);
  made = owned_forces();
}

std::vector<double> FixSpinpot::owned_forces() const {
  if (atom->nlocal == 0) return {};
  return {atom->f[0], atom->f[0] + 3 * atom->nlocal};
}

/* The forces added by later fixes; this part is kept when the forces are evaluated again. */
std::vector<double> FixSpinpot::added_by_others() const {
  auto added = owned_forces();
  for (size_t k = 0; k < added.size(); ++k) added[k] -= made[k];
  return added;
}

void FixSpinpot::set_forces(const std::vector<double>& total) {
  if (!total.empty()) std::memcpy(atom->f[0], total.data(), total.size() * sizeof(double));
}

void FixSpinpot::add(const std::vector<double>& added) {
  for (size_t k = 0; k < added.size(); ++k) atom->f[0][k] += added[k];
}

/* Whether any output or compute needs the state at the end of this step. A barostat needs a pressure at every step, but
   that of the forces it uses. */
bool FixSpinpot::is_state_wanted() const {
  const bigint now = update->ntimestep;
  if (output->next == now) return true;
  for (Compute* compute : modify->get_compute_list())
    if (compute->timeflag && !(others_move_atoms && compute->pressflag) && compute->matchstep(now)) return true;
  for (Fix* fix : modify->get_fix_list())
    if (begins(fix->style, {"ave/atom", "ave/chunk", "ave/grid"}) && fix->nevery > 0 && now % fix->nevery == 0)
      return true;
  return output->any_time_dumps && output->next_time_dump_any == now;
}

double FixSpinpot::compute_scalar() {
  double own = 0, all = 0;
  for (int i = 0; i < atom->nlocal; ++i) {
    const double* sp = atom->sp[i];
    if (!(atom->mask[i] & groupbit) || sp[3] == 0) continue; /* the direction of a zero moment may be NaN */
    own -= sp[3] * (field[0] * sp[0] + field[1] * sp[1] + field[2] * sp[2]);
  }
  MPI_Allreduce(&own, &all, 1, MPI_DOUBLE, MPI_SUM, world);
  return all;
}

double FixSpinpot::compute_vector(int /*which*/) {
  return steps ? static_cast<double>(evaluations) / static_cast<double>(steps) : 0;
}

void* FixSpinpot::extract(const char* name, int& dimensions) {
  dimensions = 1;
  return std::strcmp(name, "field") ? nullptr : field;
}
