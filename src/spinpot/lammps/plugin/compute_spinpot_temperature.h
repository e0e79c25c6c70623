/* compute spinpot/temperature: the temperature of the spins, for any E(S).

   k_B T = <Σ |P B|²> / <Σ (2 n·B/|S| + tr P H P)>, with B = −∂E/∂S, H = ∂²E/∂S², n = S/|S|, P the projector
   perpendicular to n. The sums are the squared gradient of E on the spheres of the spins, and the trace of its second
   derivatives there (Rugh, Phys. Rev. Lett. 78, 772, 1997). One more evaluation gives an unbiased estimate of the
   trace, along one random direction of all spins together. */

#pragma once

#include <cstdint>
#include <vector>

#include "compute.h"
#include "spin_forces.h"

namespace LAMMPS_NS {

class ComputeSpinpotTemperature : public Compute {
 public:
  ComputeSpinpotTemperature(LAMMPS* lammps, int count, char** words);
  ~ComputeSpinpotTemperature() override;

  void init() override;
  double compute_scalar() override; /* K; average the vector over time, not this ratio */
  void compute_vector() override;   /* Σ |P B|²/k_B, K eV/μ_B², and the trace, eV/μ_B²; T is their ratio */

 private:
  SpinForces forces;
  int64_t seed = 1;
  class Fix* dynamics = nullptr; /* fix spinpot, whose field also acts */

  std::vector<int> spins;    /* of this rank, in the group */
  std::vector<double> aside; /* for each spin, a random unit vector perpendicular to it */

  void draw_directions();
  void sums_here(double* slope, double* square);
  void field_of(int i, double* field) const;
  void step_aside();
};

}  // namespace LAMMPS_NS
