/* A model from a file, and its last prediction for LAMMPS' atoms. */

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels.h"

namespace spinpot {

/* The atoms that a model sees: centres first, then their neighbours. Arrays as in spinpot_cluster. */
struct Cluster {
  std::vector<int64_t> types;
  std::vector<double> coord, spin;
  std::vector<const int32_t*> candidates;
  std::vector<int32_t> n_candidates;
  int64_t centres = 0;
  int32_t mask = 0;

  int64_t atoms() const { return static_cast<int64_t>(types.size()); }
  spinpot_cluster view() const;

  /* Whether the predictions are bitwise the same (if the candidates are complete). */
  bool same_atoms(const Cluster& other) const;
};

class Model {
 public:
  /* Throws std::runtime_error with the message of the kernel library. */
  explicit Model(const std::string& path);

  const spinpot_model_facts& facts() const { return facts_; }
  int element(const std::string& name) const; /* −1 if the model does not know it */
  std::string elements() const;               /* names of all elements */
  double reach(int64_t element, double moment) const; /* Å, distance from an atom to its virtual atom */

  /* Fills energy … atom_virial, unless they already belong to the same atoms. */
  void evaluate(const Cluster& cluster, bool atom_virial, int threads);

  /* The derivatives of the atoms' forces and magnetic forces by the linear weights: (atoms, 3, row_size) each. */
  void rows(const Cluster& cluster, std::vector<double>& force, std::vector<double>& force_mag, int threads);

  /* Expected errors (eV/Å, eV/μ_B) and leverage of centres with complete rows: (centres, 3). */
  std::vector<double> uncertainty(const Cluster& cluster, const std::vector<double>& force,
                                  const std::vector<double>& force_mag, int threads) const;

  /* Makes the next evaluation run even for the same atoms. */
  void forget() { known_ = false; }

  std::vector<double> energy, force, force_mag, atom_virial; /* (centres,), (atoms, 3) twice, (centres, 3, 3) */
  double virial[9] = {};
  double evaluations = 0; /* number of evaluations so far */

 private:
  std::unique_ptr<spinpot_model, void (*)(spinpot_model*)> model_;
  spinpot_model_facts facts_{};
  Cluster last_;
  bool known_ = false;
};

}  // namespace spinpot
