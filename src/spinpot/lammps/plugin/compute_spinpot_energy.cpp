#include "compute_spinpot_energy.h"

#include <cstring>

#include "atom.h"
#include "error.h"
#include "fix.h"
#include "force.h"
#include "group.h"
#include "modify.h"
#include "pair.h"
#include "update.h"

using namespace LAMMPS_NS;

ComputeSpinpotEnergy::ComputeSpinpotEnergy(LAMMPS* lammps, int count, char** words) : Compute(lammps, count, words) {
  if (count != 3) error->all(FLERR, "compute spinpot/energy: expected no more words");
  if (igroup != 0) error->all(FLERR, "compute spinpot/energy: expected the group all");
  scalar_flag = vector_flag = peflag = timeflag = 1;
  size_vector = 4;
  extscalar = extvector = 1;
  vector = new double[4];
}

ComputeSpinpotEnergy::~ComputeSpinpotEnergy() { delete[] vector; }

double ComputeSpinpotEnergy::compute_scalar() {
  compute_vector();
  invoked_scalar = update->ntimestep;
  scalar = vector[0] + vector[1] + vector[2] + vector[3];
  return scalar;
}

void ComputeSpinpotEnergy::compute_vector() {
  invoked_vector = update->ntimestep;
  if (update->eflag_global != invoked_vector)
    error->all(FLERR, "compute spinpot/energy: the pair style did not evaluate the energy at this step");
  const double own[2] = {force->pair ? force->pair->eng_vdwl + force->pair->eng_coul : 0, kinetic()};
  double all[2];
  MPI_Allreduce(own, all, 2, MPI_DOUBLE, MPI_SUM, world);
  vector[0] = all[0];
  vector[1] = vector[2] = 0;
  for (Fix* fix : modify->get_fix_list()) {
    if (std::strcmp(fix->style, "spinpot") == 0) vector[1] += fix->compute_scalar();
    if (utils::strmatch(fix->style, "^precession/spin")) vector[2] += fix->compute_scalar();
  }
  vector[3] = all[1];
}

double ComputeSpinpotEnergy::kinetic() const {
  double sum = 0;
  for (int i = 0; i < atom->nlocal; ++i) {
    const double *v = atom->v[i], mass = atom->rmass ? atom->rmass[i] : atom->mass[atom->type[i]];
    sum += 0.5 * force->mvv2e * mass * (v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
  }
  return sum;
}
