// The potential's network: energies with all first derivatives, and the gradients of a loss of them. The same
// as spinpot.models.deepspin.descriptor and fitting, whose names the tensors here bear.

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <torch/custom_class.h>

#include <numeric>

#include "contraction.h"
#include "embedding.h"
#include "fitting.h"
#include "pairs.h"
#include "parallel.h"

namespace spinpot {

using Sizes = std::vector<int64_t>;

std::vector<Tensor> detached(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> found;
  for (const auto& tensor : tensors) found.push_back(tensor.detach().contiguous());
  return found;
}

// What a network is made of. tensors: of the batch, the grid and the descriptor by name. embedding, fitting:
// parameters of all nets. atoms: how many of each element; columns: of B, for each element.
struct Recipe {
  Named tensors;
  std::vector<Tensor> embedding, fitting;
  Sizes atoms, columns;
  Settings settings;
  int64_t axis, frames;
  Activation of_embedding, of_fitting;
};

struct AnyNetwork {
  virtual ~AnyNetwork() = default;
  virtual std::tuple<Tensor, Tensor, Tensor, Tensor> forward() = 0;
  virtual std::vector<Tensor> backward(const Tensor& by_energy, const Tensor& by_force, const Tensor& by_force_mag,
                                       const Tensor& by_virial) = 0;
};

template <typename T>
class NetworkOf : public AnyNetwork {
 public:
  explicit NetworkOf(const Recipe& recipe)
      : tensors_(recipe.tensors),
        atoms_(recipe.atoms),
        columns_(recipe.columns),
        n_sel_(recipe.settings.at("n_sel")),
        shape_(descriptor_shape(recipe)),
        pairs_(tensors_, recipe.settings, recipe.frames, *std::max_element(columns_.begin(), columns_.end())),
        embedding_(detached(recipe.embedding), recipe.of_embedding, of("numbers"), of("points").size(1)),
        fitting_(detached(recipe.fitting)) {
    for (size_t t = 0; t < atoms_.size(); ++t) nets_.emplace_back(fitting_, t, recipe.of_fitting, shape_);
  }

  // Energies of atoms (A,), force, magnetic force (A, 3) and virial (F, 3, 3).
  std::tuple<Tensor, Tensor, Tensor, Tensor> forward() override {
    embed();
    const Tensor energy = at::empty({of("types").numel()}, values_.options());
    const Tensor by_sums = at::empty_like(pairs_.sums());
    const Tensor empty = empty_slots();
    elements_.clear();
    for (const auto atoms : atoms_) elements_.push_back(element(atoms));
    each_element([&](int64_t t, int64_t first) {
      Element& here = elements_[t];
      const auto G = at_nodes(values_, t), T_all = rows(here.environment);
      multiply<T>(in_element(pairs_.sums(), t, first), G, T_all);
      multiply<T>(matrix<T>(empty).of_rows(first, atoms_[t]), at_empty(at_empty_, t), scalars(here.environment),
                  true);
      contract(environments(here.environment), shape_, upper<T>(here.descriptors));
      nets_[t].evaluate(here.descriptors, energy.data_ptr<T>() + first, writable<T>(here.by_descriptor));
      pull_back(environments(here.environment), writable<T>(here.by_descriptor), shape_,
                environments(here.by_environment));
      multiply<T>(rows(here.by_environment), G.transposed(), in_element(by_sums, t, first));
    });
    const auto [force, force_mag, virial] = pairs_.derivatives(by_sums);
    return {energy.index_select(0, of("atom_place")), force, force_mag, virial};
  }

  // Gradients by the parameters of the embedding and fitting nets, from those by what `forward` gives.
  std::vector<Tensor> backward(const Tensor& by_energy, const Tensor& by_force, const Tensor& by_force_mag,
                               const Tensor& by_virial) override {
    const Tensor energy = by_energy.index_select(0, of("atom_order"));
    const Tensor change = pairs_.transposed(by_force, by_force_mag, by_virial);
    const Tensor by_values = at::zeros_like(values_), by_empty = at::empty_like(at_empty_);
    const Tensor empty = empty_slots();
    std::vector<Tensor> by_fitting;
    for (const auto& parameter : fitting_) by_fitting.push_back(at::empty_like(parameter));
    each_element([&](int64_t t, int64_t first) {
      const Element& here = elements_[t];
      const Tensor u = at::empty_like(here.environment);  // ∂L/∂(∂E/∂T)
      const Tensor by_environment = at::zeros_like(u), by_descriptor = at::empty_like(here.by_descriptor);
      const auto of_change = in_element(change, t, first), of_sums = in_element(pairs_.sums(), t, first);
      multiply<T>(of_change, at_nodes(values_, t), rows(u));
      contract_change(environments(here.environment), environments(u), shape_, lower<T>(here.descriptors));
      nets_[t].backward(numbers<T>(energy) + first, writable<T>(by_descriptor), by_fitting);
      pull_back(environments(u), writable<T>(here.by_descriptor), shape_, environments(by_environment));
      pull_back(environments(here.environment), writable<T>(by_descriptor), shape_, environments(by_environment));
      multiply<T>(of_change.transposed(), rows(here.by_environment), at_nodes(by_values, t), true);
      multiply<T>(of_sums.transposed(), rows(by_environment), at_nodes(by_values, t), true);
      multiply<T>(matrix<T>(empty).of_rows(first, atoms_[t]).transposed(), scalars(by_environment),
                  at_empty(by_empty, t));
    });
    each_empty(by_values, by_empty, [](T& by_value, T& by_added, T a) { by_value += a * by_added; });
    auto gradients = embedding_.backward(by_values.mul_(1 / n_sel_));
    gradients.insert(gradients.end(), by_fitting.begin(), by_fitting.end());
    return gradients;
  }

 private:
  // Of the atoms of one element: T, ∂E/∂T (n, 4, M); D above what becomes ∂L/∂(∂E/∂D) (2n, size); ∂E/∂D.
  struct Element {
    Tensor environment, by_environment, descriptors, by_descriptor;
  };

  Element element(int64_t atoms) const {
    const auto options = values_.options();
    return {at::empty({atoms, 4, width()}, options), at::zeros({atoms, 4, width()}, options),
            at::empty({2 * atoms, shape_.size()}, options), at::empty({atoms, shape_.size()}, options)};
  }

  // Where a first layer skips D to its output, that is whole.
  static DescriptorShape descriptor_shape(const Recipe& recipe) {
    const auto first = layers_of<T>(at::TensorList(recipe.fitting).slice(2), 0)[0];
    return {first.width_in() / recipe.axis, recipe.axis, first.repeats() ? 0 : recipe.axis};
  }

  Tensor of(const std::string& name) const { return tensors_.at(name); }

  // body(t, its first atom) for every element: one after the other on all threads, or side by side where that
  // keeps all threads about equally busy, since they need not wait for each other then.
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
    side_by_side(elements, most * threads <= all + all / 8 ? 1 : elements, [&](int64_t t) {
      body(t, std::accumulate(atoms_.begin(), atoms_.begin() + t, int64_t(0)));
    });
  }

  // G/N_sel at the nodes, and a G_j(a)/N_sel of empty slots, as Descriptor._at_nodes.
  void embed() {
    values_ = embedding_.evaluate(of("points")).mul_(1 / n_sel_);
    const auto shape = of("first").sizes();
    at_empty_ = at::empty({shape[0], shape[1], width()}, values_.options());
    each_empty(values_, at_empty_, [](T& value, T& added, T a) { added = a * value; });
  }

  // body(number at the first node, number of the empty slot, a) for the centres that occur: an empty slot adds a times
  // G at that node. values like G at the nodes (C, n, M), empty (T, 2T, M).
  template <typename Body>
  void each_empty(const Tensor& values, const Tensor& empty, const Body& body) const {
    const Tensor first = of("first"), low = of("low");
    const int64_t neighbours = first.size(1), chunk = values.size(1) * width(), m = width();
    for (int64_t slot = 0; slot < first.numel(); ++slot) {
      if (atoms_[slot / neighbours] == 0) continue;
      T* value = values.data_ptr<T>() + indices(first)[slot] * chunk;
      T* added = empty.data_ptr<T>() + slot * m;
      for (int64_t k = 0; k < m; ++k) body(value[k], added[k], numbers<T>(low)[slot / neighbours]);
    }
  }

  int64_t width() const { return values_.size(2); }

  // Slots without a neighbour, Σ_j (sel_j − n_j), of the atoms in the order of their elements, (A, 2T).
  Tensor empty_slots() const {
    return (of("sel") - of("neighbour_counts").index_select(0, of("atom_order"))).to(values_.scalar_type());
  }

  // Numbers at nodes (C, n, M), those of centre element t.
  Matrix<T> at_nodes(const Tensor& values, int64_t t) const {
    const int64_t first = std::accumulate(columns_.begin(), columns_.begin() + t, int64_t(0));
    return matrix(values.data_ptr<T>(), values.size(0) * values.size(1), width()).of_rows(first, columns_[t]);
  }

  // Numbers of empty slots (T, 2T, M), those of centre element t.
  Matrix<T> at_empty(const Tensor& values, int64_t t) const {
    return matrix(values.data_ptr<T>() + t * values.stride(0), values.size(1), width());
  }

  // Numbers (A, 4, room) like B, those of an element: (4n, columns).
  Matrix<T> in_element(const Tensor& all, int64_t t, int64_t first) const {
    const int64_t room = all.size(2);
    return {all.data_ptr<T>() + first * 4 * room, 4 * atoms_[t], columns_[t], room, 1};
  }

  // T and its like, of an element: (4n, M), their first components (n, M), or by atoms.
  static Matrix<T> rows(const Tensor& all) { return matrix(all.data_ptr<T>(), 4 * all.size(0), all.size(2)); }
  static Matrix<T> scalars(const Tensor& all) {
    return {all.data_ptr<T>(), all.size(0), all.size(2), 4 * all.size(2), 1};
  }
  static Environments<T> environments(const Tensor& all) { return {all.data_ptr<T>(), all.size(0), all.size(2)}; }

  Named tensors_;
  Sizes atoms_, columns_;
  double n_sel_;
  DescriptorShape shape_;
  PairMap<T> pairs_;
  EmbeddingNets<T> embedding_;
  std::vector<Tensor> fitting_;
  std::vector<FittingNet<T>> nets_;
  Tensor values_, at_empty_;
  std::vector<Element> elements_;
};

class Network : public torch::CustomClassHolder {
 public:
  Network(Named tensors, std::vector<Tensor> embedding, std::vector<Tensor> fitting, Sizes atoms, Sizes columns,
          Settings settings, int64_t axis, int64_t frames, std::string of_embedding, std::string of_fitting) {
    const auto type = tensors.at("vector").scalar_type();
    const Recipe recipe{tensors, embedding, fitting, atoms, columns, settings, axis, frames,
                        {of_embedding, settings.at("embedding_threshold")},
                        {of_fitting, settings.at("fitting_threshold")}};
    AT_DISPATCH_FLOATING_TYPES(type, "network", [&] { network_ = std::make_unique<NetworkOf<scalar_t>>(recipe); });
  }

  std::tuple<Tensor, Tensor, Tensor, Tensor> forward() { return network_->forward(); }

  std::vector<Tensor> backward(const Tensor& by_energy, const Tensor& by_force, const Tensor& by_force_mag,
                               const Tensor& by_virial) {
    return network_->backward(by_energy, by_force, by_force_mag, by_virial);
  }

 private:
  std::unique_ptr<AnyNetwork> network_;
};

}  // namespace spinpot

TORCH_LIBRARY_FRAGMENT(spinpot, library) {
  using namespace spinpot;
  library.class_<Network>("Network")
      .def(torch::init<Named, std::vector<Tensor>, std::vector<Tensor>, Sizes, Sizes, Settings, int64_t, int64_t,
                       std::string, std::string>())
      .def("forward", &Network::forward)
      .def("backward", &Network::backward);
}
