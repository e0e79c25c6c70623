#include "evaluated.h"

#include <cmath>
#include <cstring>

namespace spinpot {
namespace {

template <typename Number>
bool same_bytes(const std::vector<Number>& one, const std::vector<Number>& other) {
  return one.size() == other.size() &&
         (one.empty() || std::memcmp(one.data(), other.data(), one.size() * sizeof(Number)) == 0);
}

spinpot_model* read(const std::string& path) {
  spinpot_model* model = nullptr;
  kernels().checked(kernels().model_read(path.c_str(), &model));
  return model;
}

}  // namespace

spinpot_cluster Cluster::view() const {
  return {atoms(), centres, types.data(), coord.data(), spin.data(), candidates.data(), n_candidates.data(), mask};
}

bool Cluster::same_atoms(const Cluster& other) const {
  return centres == other.centres && same_bytes(types, other.types) && same_bytes(coord, other.coord) &&
         same_bytes(spin, other.spin);
}

Model::Model(const std::string& path) : model_(read(path), kernels().model_free) {
  kernels().checked(kernels().model_facts_of(model_.get(), &facts_));
}

int Model::element(const std::string& name) const {
  for (int64_t k = 0; k < facts_.n_elements; ++k)
    if (name == facts_.elements[k]) return static_cast<int>(k);
  return -1;
}

std::string Model::elements() const {
  std::string names;
  for (int64_t k = 0; k < facts_.n_elements; ++k) names += (k ? " " : "") + std::string(facts_.elements[k]);
  return names;
}

double Model::reach(int64_t element, double moment) const {
  return facts_.magnetic[element] ? std::fabs(facts_.virtual_scale[element]) * moment : 0.0;
}

void Model::evaluate(const Cluster& cluster, bool with_atom_virial, int threads) {
  const size_t wanted = with_atom_virial ? 9 * cluster.centres : 0;
  if (known_ && atom_virial.size() >= wanted && cluster.same_atoms(last_)) return;
  known_ = false;
  energy.resize(cluster.centres);
  force.resize(3 * cluster.atoms());
  force_mag.resize(3 * cluster.atoms());
  atom_virial.resize(wanted);
  const spinpot_cluster view = cluster.view();
  const spinpot_cluster_derivatives out{energy.data(), force.data(), force_mag.data(), virial,
                                        with_atom_virial ? atom_virial.data() : nullptr};
  kernels().checked(kernels().model_evaluate(model_.get(), &view, &out, threads));
  ++evaluations;
  last_.types = cluster.types;
  last_.coord = cluster.coord;
  last_.spin = cluster.spin;
  last_.centres = cluster.centres;
  known_ = true;
}

void Model::rows(const Cluster& cluster, std::vector<double>& force, std::vector<double>& force_mag, int threads) {
  std::vector<double> energy(facts_.row_size);
  force.resize(3 * cluster.atoms() * facts_.row_size);
  force_mag.resize(force.size());
  const spinpot_cluster view = cluster.view();
  const spinpot_rows out{energy.data(), force.data(), force_mag.data()};
  kernels().checked(kernels().model_rows(model_.get(), &view, &out, threads));
}

std::vector<double> Model::uncertainty(const Cluster& cluster, const std::vector<double>& force,
                                       const std::vector<double>& force_mag, int threads) const {
  const int64_t n = cluster.centres;
  const std::vector<int64_t> counts(facts_.n_elements, 1);
  const std::vector<double> energy(facts_.row_size, 0.0);
  std::vector<double> leverage(n), sigma(n), sigma_mag(n), found;
  const spinpot_complete_rows in{n, cluster.types.data(), counts.data(), energy.data(), force.data(), force_mag.data()};
  const spinpot_uncertainty out{leverage.data(), sigma.data(), sigma_mag.data(), nullptr};
  kernels().checked(kernels().model_uncertainty(model_.get(), &in, &out, threads));
  for (int64_t k = 0; k < n; ++k) found.insert(found.end(), {sigma[k], sigma_mag[k], leverage[k]});
  return found;
}

}  // namespace spinpot
