// The potential's network: energies with all first derivatives, and the gradients of a loss of them. The same
// as spinpot.model.descriptor and fitting, whose names the tensors here bear.

#include <ATen/ops/index_add.h>
#include <ATen/ops/index_select.h>
#include <torch/custom_class.h>

#include <numeric>

#include "contraction.h"
#include "embedding.h"
#include "fitting.h"
#include "pairs.h"
#include "parallel.h"

namespace spinpot {

using Named = c10::Dict<std::string, Tensor>;
using Sizes = std::vector<int64_t>;

std::vector<Tensor> detached(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> found;
  for (const auto& tensor : tensors) found.push_back(tensor.detach().contiguous());
  return found;
}

class Network : public torch::CustomClassHolder {
 public:
  // batch: tensors of the batch, the grid and the descriptor by name. embedding, fitting: parameters of all
  // nets. atoms: how many of each element; columns: of B, for each element.
  Network(Named batch, const std::vector<Tensor>& embedding, const std::vector<Tensor>& fitting, Sizes atoms,
          Sizes columns, c10::Dict<std::string, double> settings, int64_t axis, int64_t frames,
          std::string embedding_activation, std::string fitting_activation)
      : batch_(std::move(batch)),
        embedding_(detached(embedding), {embedding_activation, settings.at("embedding_threshold")}, of("numbers")),
        atoms_(std::move(atoms)),
        columns_(std::move(columns)),
        settings_(std::move(settings)),
        axis_(axis),
        frames_(frames) {
    const auto parameters = detached(fitting);
    const Activation activation{fitting_activation, settings_.at("fitting_threshold")};
    const size_t each = parameters.size() / atoms_.size();
    for (size_t t = 0; t < atoms_.size(); ++t)
      nets_.emplace_back(at::TensorList(parameters).slice(t * each, each), activation);
  }

  // Energies of atoms (A,), force, magnetic force (A, 3) and virial (F, 3, 3).
  std::tuple<Tensor, Tensor, Tensor, Tensor> forward() {
    embed();
    sum_pairs();
    Tensor energy = at::empty({of("types").numel()}, sums_.options());
    const auto energies = energy.split_with_sizes(atoms_);
    Tensor by_sums = at::zeros_like(sums_);
    const auto empty = empty_slots(), sums = by_element(sums_), by = by_element(by_sums);
    elements_.resize(atoms_.size());
    each_element([&](int64_t t) {
      Element& element = elements_[t] = {sums[t], at_nodes_[t], empty[t], {}, {}, {}, {}};
      element.environment = at::mm(element.sums, element.at_nodes).view({atoms_[t], 4, width()});
      element.environment.select(1, 0).addmm_(element.empty, at_empty_[t]);
      element.descriptors = at::empty({2 * atoms_[t], width() * axis_}, sums_.options());
      contract(element.environment, axis_, element.descriptors.narrow(0, 0, atoms_[t]));
      element.by_descriptor = nets_[t].evaluate(element.descriptors, energies[t]);
      element.by_environment = at::zeros_like(element.environment);
      pull_back(element.environment, element.by_descriptor, axis_, element.by_environment);
      Tensor(by[t]).copy_(at::mm(element.by_environment.view({-1, width()}), element.at_nodes.t()));
    });
    const auto [force, force_mag, virial] = derivatives(by_sums, structure_, frames_);
    return {energy.index_select(0, of("atom_place")), force, force_mag, virial};
  }

  // Gradients by the parameters of the embedding and fitting nets, from those by what `forward` gives.
  std::vector<Tensor> backward(
      const Tensor& by_energy, const Tensor& by_force, const Tensor& by_force_mag, const Tensor& by_virial) {
    const Tensor energy = by_energy.index_select(0, of("atom_order"));
    const auto energies = energy.split_with_sizes(atoms_);
    const Tensor change = transposed(by_force, by_force_mag, by_virial, structure_, sums_.size(2));
    const auto changes = by_element(change);
    Tensor by_values = at::zeros_like(values_), by_empty = at::empty_like(at_empty_);
    const auto by_nodes = in_columns(by_values);
    std::vector<std::vector<Tensor>> of_fitting(atoms_.size());
    each_element([&](int64_t t) {
      const auto& element = elements_[t];
      // u = ∂L/∂(∂E/∂T)
      const Tensor u = at::mm(changes[t], element.at_nodes).view_as(element.environment);
      contract_change(element.environment, u, axis_, element.descriptors.narrow(0, atoms_[t], atoms_[t]));
      Tensor by_descriptor;
      std::tie(by_descriptor, of_fitting[t]) = nets_[t].backward(energies[t]);
      Tensor by_environment = at::zeros_like(u);
      pull_back(u, element.by_descriptor, axis_, by_environment);
      pull_back(element.environment, by_descriptor, axis_, by_environment);
      Tensor(by_nodes[t])
          .addmm_(changes[t].t(), element.by_environment.view({-1, width()}))
          .addmm_(element.sums.t(), by_environment.view({-1, width()}));
      by_empty[t].copy_(at::mm(element.empty.t(), by_environment.select(1, 0)));
    });
    by_values.flatten(0, 1).index_add_(0, first_nodes(), (by_empty * low()).flatten(0, 1));
    auto gradients = embedding_.backward(by_values.div_(settings_.at("n_sel")));
    for (const auto& own : of_fitting) gradients.insert(gradients.end(), own.begin(), own.end());
    return gradients;
  }

 private:
  // B (4n, columns), G at the nodes and the empty slots (n, 2T) of the atoms of one element; T and its like.
  struct Element {
    Tensor sums, at_nodes, empty;
    Tensor environment, descriptors, by_descriptor, by_environment;
  };

  Tensor of(const std::string& name) const { return batch_.at(name); }

  // body(t) for every element: one after the other on all threads, or side by side where that keeps all threads
  // about equally busy, since they need not wait for each other then.
  template <typename Body>
  void each_element(const Body& body) const {
    const int64_t elements = atoms_.size(), threads = at::get_num_threads();
    const int64_t each = (elements + threads - 1) / threads;
    int64_t most = 0, all = 0;
    for (int64_t t = 0; t < elements; t += each) {
      const int64_t atoms = std::accumulate(&atoms_[t], &atoms_[t] + std::min(each, elements - t), int64_t(0));
      most = std::max(most, atoms);
      all += atoms;
    }
    side_by_side(elements, most * threads <= all + all / 8 ? 1 : elements, body);
  }

  // G/N_sel at the nodes, and a G_j(a)/N_sel of empty slots, as Descriptor._at_nodes.
  void embed() {
    values_ = embedding_.evaluate(of("points")).div_(settings_.at("n_sel"));
    at_nodes_ = in_columns(values_);
    const auto shape = of("first").sizes();
    at_empty_ = values_.flatten(0, 1).index_select(0, first_nodes()).view({shape[0], shape[1], width()}) * low();
  }

  void sum_pairs() {
    Tensor column, kept;
    std::tie(sums_, column, kept) = sums(
        of("vector"), of("pair_type"), of("pair_start"), of("types"), of("atom_place"), of("davg"), of("dstd"),
        of("low"), of("step"), of("n_nodes"), of("column"), of("polynomials"), settings_.at("rcut_smth"),
        settings_.at("rcut"), settings_.at("env_protection"), settings_.at("scale"),
        *std::max_element(columns_.begin(), columns_.end()));
    structure_ = {of("pair_start"), of("types"),  of("atom_place"), of("frame"), of("pair_neighbour"), of("pair_type"),
                  column,           of("vector"), of("spin"),       of("eta"),   of("dstd"),           kept};
  }

  int64_t width() const { return values_.size(2); }
  Tensor low() const { return of("low").view({-1, 1, 1}); }
  Tensor first_nodes() const { return of("first").flatten() * values_.size(1); }

  // Slots without a neighbour, Σ_j (sel_j − n_j), of the atoms of each element.
  std::vector<Tensor> empty_slots() const {
    const Tensor counts = of("neighbour_counts").index_select(0, of("atom_order"));
    return (of("sel") - counts).to(sums_.scalar_type()).split_with_sizes(atoms_);
  }

  // Numbers at nodes (C, n, M) as rows for each centre element.
  std::vector<Tensor> in_columns(const Tensor& values) const {
    int64_t all = 0;
    for (const auto columns : columns_) all += columns;
    return values.flatten(0, 1).narrow(0, 0, all).split_with_sizes(columns_);
  }

  // Numbers (A, 4, room) like B as matrices (4n, columns) for each element.
  std::vector<Tensor> by_element(const Tensor& all) const {
    std::vector<Tensor> found;
    int64_t start = 0;
    for (size_t t = 0; t < atoms_.size(); ++t) {
      found.push_back(all.narrow(0, start, atoms_[t]).flatten(0, 1).narrow(1, 0, columns_[t]));
      start += atoms_[t];
    }
    return found;
  }

  Named batch_;
  EmbeddingNets embedding_;
  std::vector<FittingNet> nets_;
  Sizes atoms_, columns_;
  c10::Dict<std::string, double> settings_;
  int64_t axis_, frames_;
  Tensor sums_, values_, at_empty_;
  std::vector<Tensor> at_nodes_, structure_;
  std::vector<Element> elements_;
};

}  // namespace spinpot

TORCH_LIBRARY_FRAGMENT(spinpot, library) {
  using namespace spinpot;
  library.class_<Network>("Network")
      .def(torch::init<Named, std::vector<Tensor>, std::vector<Tensor>, Sizes, Sizes,
                       c10::Dict<std::string, double>, int64_t, int64_t, std::string, std::string>())
      .def("forward", &Network::forward)
      .def("backward", &Network::backward);
}
