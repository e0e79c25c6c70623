/* How far several models are from each other on the atoms of one step: the columns of deepmd-kit's model_devi.out. */

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

/* out_freq, out_file and stop_at of pair_style. */
struct DeviationSettings {
  int64_t every = 100;
  std::string file = "model_devi.out";
  double stop_force = std::numeric_limits<double>::infinity();
  double stop_force_mag = std::numeric_limits<double>::infinity();
};

/* What each of some models gives for the atoms of this rank. */
struct Predicted {
  std::vector<std::array<double, 6>> forces; /* (atoms,) force and magnetic force */
  std::array<double, 9> virial;              /* of the centres of this rank */
};

/* Largest, smallest and mean deviation of virials per atom, forces and magnetic forces, of all ranks: an atom's is
   √⟨|F − ⟨F⟩|²⟩ over the models. magnetic: of each atom whether its magnetic force counts. */
std::array<double, 9> deviations(const std::vector<Predicted>& models, const std::vector<char>& magnetic,
                                 MPI_Comm world);

/* The file, written by one rank, a row when it is known. */
class DeviationFile {
 public:
  void write(const std::string& path, int64_t step, const std::array<double, 9>& row); /* throws */

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

}  // namespace spinpot
