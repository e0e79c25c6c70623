/* The deviation between several models on the atoms of one step, in the columns of deepmd-kit's model_devi.out. */

#pragma once

#include <mpi.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <string>
#include <vector>

namespace spinpot {

/* The settings out_freq, out_file and stop_at of pair_style. */
struct DeviationSettings {
  int64_t every = 100;
  std::string file = "model_devi.out";
  double stop_force = std::numeric_limits<double>::infinity();
  double stop_force_mag = std::numeric_limits<double>::infinity();
};

/* The prediction of a model for the atoms of this rank. */
struct Predicted {
  std::vector<std::array<double, 6>> forces; /* (atoms,) force and magnetic force */
  std::array<double, 9> virial;              /* of the centres of this rank */
};

/* Largest, smallest and mean deviation of virials per atom, forces and magnetic forces, over all ranks. The deviation
   of an atom's force is √⟨|F − ⟨F⟩|²⟩ over the models. magnetic: whether the magnetic force of each atom counts. */
std::array<double, 9> deviations(const std::vector<Predicted>& models, const std::vector<char>& magnetic,
                                 MPI_Comm world);

/* The output file, written row by row by one rank. */
class DeviationFile {
 public:
  void write(const std::string& path, int64_t step, const std::array<double, 9>& row); /* throws */

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

}  // namespace spinpot
