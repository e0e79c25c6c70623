/* A model of a file, and what it gave for LAMMPS' atoms last. */

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels.h"

namespace spinpot {

/* Which atoms a model sees: centres first, then their neighbours. Arrays as spinpot_cluster has them. */
struct Cluster {
  std::vector<int64_t> types;
  std::vector<double> coord, spin;
  std::vector<const int32_t*> candidates;
  std::vector<int32_t> n_candidates;
  int64_t centres = 0;
  int32_t mask = 0;

  int64_t atoms() const { return static_cast<int64_t>(types.size()); }
  spinpot_cluster view() const;

  /* Whether energies are the same, bit by bit, as long as candidates are complete. */
  bool same_atoms(const Cluster& other) const;
};

class Model {
 public:
  /* Throws std::runtime_error with the kernel library's words. */
  explicit Model(const std::string& path);

  const spinpot_model_facts& facts() const { return facts_; }
  int element(const std::string& name) const; /* −1 where the model does not know it */
  std::string elements() const;               /* their names */
  double reach(int64_t element, double moment) const; /* Å, from an atom to its virtual atom */

  /* Fills energy … atom_virial, unless they are of the same atoms already. */
  void evaluate(const Cluster& cluster, bool atom_virial, int threads);

  /* What each weight of the linear part gives for the forces of the atoms: (atoms, 3, row_size) twice. */
  void rows(const Cluster& cluster, std::vector<double>& force, std::vector<double>& force_mag, int threads);

  /* Expected errors (eV/Å, eV/μ_B) and leverage of centres with complete rows: (centres, 3). */
  std::vector<double> uncertainty(const Cluster& cluster, const std::vector<double>& force,
                                  const std::vector<double>& force_mag, int threads) const;

  /* The next evaluation is done whatever was found before. */
  void forget() { known_ = false; }

  std::vector<double> energy, force, force_mag, atom_virial; /* (centres,), (atoms, 3) twice, (centres, 3, 3) */
  double virial[9] = {};
  double evaluations = 0; /* how many were done */

 private:
  std::unique_ptr<spinpot_model, void (*)(spinpot_model*)> model_;
  spinpot_model_facts facts_{};
  Cluster last_;
  bool known_ = false;
};

}  // namespace spinpot
