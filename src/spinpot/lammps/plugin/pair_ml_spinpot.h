/* pair_style ml/spinpot [FILE … [out_freq N] [out_file F] [stop_at F [F_MAG]]]

   pair_coeff * * FILE ELEMENT …   without files in pair_style
   pair_coeff * * ELEMENT …        with files there: the first model drives

   With several models, their deviation is written every N steps (100) to F (model_devi.out). A deviation above stop_at
   (eV/Å, eV/μ_B) ends the run. */

#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "deviation.h"
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
  int pack_reverse_comm(int count, int first, double* buffer) override;
  void unpack_reverse_comm(int count, int* atoms, double* buffer) override;

  /* "evaluations": number of evaluations of the driving model on this rank. "uncertainty_flag": set it to let the next
     extract_peratom compute the uncertainty. */
  void* extract(const char* name, int& dimension) override;

  /* "uncertainty", for fix pair with trigger 1: for each atom the expected errors of the components of its force (eV/Å)
     and magnetic force (eV/μ_B), and the leverage, about 1 for atoms like those in training. NaN if not requested. */
  void* extract_peratom(const char* name, int& columns) override;

 private:
  /* Reading the commands, and the start of a run. */
  int keyword(int next, int count, char** words); /* returns the position of the next keyword */
  void read_models(const std::vector<std::string>& files);
  void allocate();
  void free_types();
  std::vector<int> elements(const spinpot::Model& model, char** names) const;
  bool is_magnetic(size_t model, int type) const;
  void check_same_spins() const;
  void check_setting() const;
  void check_magnetic();
  void give_directions();
  void look_at_moments();
  void warn_of_moments(const std::vector<double>& shortest);
  static double moment(const double* sp);
  std::string moment_too_long(int i) const;

  /* Evaluations. */
  void gather();
  void gather_atom(int i);
  void take_list();
  void renumber_list();
  void evaluate(spinpot::Model& model, bool atom_virial);
  void add(const spinpot::Model& model);
  void add_atom_virial(const spinpot::Model& model);
  void tell_deviation();
  spinpot::Predicted collected(const spinpot::Model& model); /* adds the contributions of other ranks */
  void find_uncertainty();
  void add_rows_of_images(std::vector<double>& force, std::vector<double>& force_mag);
  void write_deviation(const std::array<double, 9>& row);
  void stop_above(const char* what, double deviation, double limit, const char* unit) const;

  std::vector<std::string> files_;
  std::vector<std::unique_ptr<spinpot::Model>> models_;
  std::vector<std::vector<int>> element_of_; /* for each model, by LAMMPS type; −1 for types of other pair styles */
  std::vector<double> longest_;              /* longest moment at the start of the run, by LAMMPS type, μ_B */
  bool warned_ = false, warned_of_moments_ = false;

  spinpot::Cluster cluster_;
  std::vector<int> atom_of_, place_of_; /* LAMMPS' index of each atom of the cluster, and the inverse */
  std::vector<int32_t> neighbours_;

  spinpot::DeviationSettings deviation_;
  spinpot::DeviationFile file_;
  bigint told_ = -1; /* the last step whose deviation was written */
  std::vector<std::array<double, 6>> collected_;

  int uncertainty_wanted_ = 0;
  bigint evaluated_at_ = -1; /* the step of the last evaluation */
  std::vector<std::array<double, 3>> uncertainty_;
  std::vector<double*> rows_of_uncertainty_;
};

}  // namespace LAMMPS_NS
