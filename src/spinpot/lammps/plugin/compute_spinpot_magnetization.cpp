#include "compute_spinpot_magnetization.h"

#include <cmath>

#include "atom.h"
#include "error.h"
#include "update.h"

using namespace LAMMPS_NS;

ComputeSpinpotMagnetization::ComputeSpinpotMagnetization(LAMMPS* lammps, int count, char** words)
    : Compute(lammps, count, words) {
  if (!atom->sp_flag) error->all(FLERR, "compute spinpot/magnetization: the atoms have no spins. Use atom_style spin");
  if (count != 3) error->all(FLERR, "compute spinpot/magnetization: expected no more words");
  scalar_flag = vector_flag = 1;
  size_vector = 8;
  extscalar = extvector = 0;
  vector = new double[8];
}

ComputeSpinpotMagnetization::~ComputeSpinpotMagnetization() { delete[] vector; }

double ComputeSpinpotMagnetization::compute_scalar() {
  compute_vector();
  invoked_scalar = update->ntimestep;
  scalar = lengths > 0 ? vector[3] / lengths : 0;
  return scalar;
}

void ComputeSpinpotMagnetization::compute_vector() {
  invoked_vector = update->ntimestep;
  double own[8] = {}, all[8]; /* Σ S, Σ S/|S|, Σ |S|, their number */
  for (int i = 0; i < atom->nlocal; ++i) {
    const double* sp = atom->sp[i];
    if (!(atom->mask[i] & groupbit) || !(sp[3] > 0)) continue;
    for (int k = 0; k < 3; ++k) {
      own[k] += sp[3] * sp[k];
      own[3 + k] += sp[k];
    }
    own[6] += sp[3];
    own[7] += 1;
  }
  MPI_Allreduce(own, all, 8, MPI_DOUBLE, MPI_SUM, world);
  lengths = all[6];
  for (int k = 0; k < 3; ++k) {
    vector[k] = all[k];
    vector[4 + k] = all[7] > 0 ? all[3 + k] / all[7] : 0;
  }
  for (double* part : {vector, vector + 4}) part[3] = std::hypot(part[0], part[1], part[2]);
}
