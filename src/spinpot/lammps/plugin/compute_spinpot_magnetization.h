/* compute spinpot/magnetization: the magnetization of a group. Vector: Σ S (μ_B) and its length; the mean of S/|S| and
   its length. Scalar: |Σ S|/Σ |S|. Atoms without a moment do not count. */

#pragma once

#include "compute.h"

namespace LAMMPS_NS {

class ComputeSpinpotMagnetization : public Compute {
 public:
  ComputeSpinpotMagnetization(LAMMPS* lammps, int count, char** words);
  ~ComputeSpinpotMagnetization() override;

  void init() override {}
  double compute_scalar() override;
  void compute_vector() override;

 private:
  double lengths = 0; /* Σ |S| */
};

}  // namespace LAMMPS_NS
