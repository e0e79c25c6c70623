/* compute spinpot/energy: what is conserved without a bath, and its parts (eV). Scalar: their sum. Vector: the pair
   style's; that of the field of fix spinpot; that of other fixes on spins, such as an anisotropy; the kinetic one. */

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
