/* compute spinpot/energy: the energy that is conserved without a bath, and its parts (eV). Scalar: the sum. Vector:
   the energy of the pair style; of the field of fix spinpot; of other fixes on spins, e.g. an anisotropy; kinetic. */

#pragma once

#include "compute.h"

namespace LAMMPS_NS {

class ComputeSpinpotEnergy : public Compute {
 public:
  ComputeSpinpotEnergy(LAMMPS* lammps, int count, char** words);
  ~ComputeSpinpotEnergy() override;

  void init() override {}
  double compute_scalar() override;
  void compute_vector() override;

 private:
  double kinetic() const; /* of this rank */
};

}  // namespace LAMMPS_NS
