/* pair_style ml/spinpot [FILE … [out_freq N] [out_file F] [stop_at F [F_MAG]]]

   pair_coeff * * FILE ELEMENT …   without files in pair_style
   pair_coeff * * ELEMENT …        with files there: the first drives, all of them tell the deviation */

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "evaluated.h"
#include "pair.h"

namespace LAMMPS_NS {

class PairMLSpinpot : public Pair {
 public:
  explicit PairMLSpinpot(LAMMPS* lammps);
  ~PairMLSpinpot() override;

  void compute(int eflag, int vflag) override;
  void settings(int count, char** words) override;
  void coeff(int count, char** words) override;
  void init_style() override;
  double init_one(int i, int j) override;
  double memory_usage() override;

  /* "evaluations": an int64_t, how often the model that drives was evaluated on this rank. */
  void* extract(const char* name, int& dimension) override;

 private:
  void read_models(const std::vector<std::string>& files);
  void allocate();
  void check_setting() const;
  void check_magnetic();
  void look_at_moments();
  void gather();
  void gather_atom(int i);
  void add(const spinpot::Model& model);
  void add_atom_virial(const spinpot::Model& model);
  std::string moment_too_long(int i) const;

  std::vector<std::string> files_;
  std::vector<std::unique_ptr<spinpot::Model>> models_;
  std::vector<std::vector<int>> element_of_; /* of each model, by LAMMPS' type; −1 where the type is not ours */
  std::vector<double> longest_; /* by LAMMPS' type, μ_B, of all atoms when the run began */
  bool warned_ = false;

  spinpot::Cluster cluster_;
  std::vector<int> atom_of_, place_of_; /* LAMMPS' index of each atom of the cluster, and back */
  std::vector<int32_t> neighbours_;
};

}  // namespace LAMMPS_NS
