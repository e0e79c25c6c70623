/* compute spinpot/temperature: of the spins, for any E(S).

   k_B T = <Σ |P B|²> / <Σ (2 n·B/|S| + tr P H P)>, with B = −∂E/∂S, H = ∂²E/∂S², n = S/|S| and P across n. The sums
   are the square of the slope of E on the spheres of the spins, and the trace of its second derivatives there (Rugh,
   Phys. Rev. Lett. 78, 772, 1997). The trace is estimated along one random direction of all spins together, by one
   more evaluation, without bias. */

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
  double compute_scalar() override; /* K; averages are to be taken of the vector */
  void compute_vector() override;   /* Σ |P B|²/k_B, K eV/μ_B², and the trace, eV/μ_B²: their ratio is T */

 private:
  SpinForces forces;
  int64_t seed = 1;
  class Fix* dynamics = nullptr; /* fix spinpot, whose field acts, too */

  std::vector<int> spins;    /* of this rank, in the group */
  std::vector<double> aside; /* of each a random unit vector across it */

  void draw_directions();
  void sums_here(double* slope, double* square);
  void field_of(int i, double* field) const;
  void step_aside();
};

}  // namespace LAMMPS_NS
