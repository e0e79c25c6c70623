// DeepSPIN: energies with all first derivatives, and the gradients of a loss that depends on them. Formulas and names are
// those of spinpot.models.deepspin.descriptor and fitting.

#include <numeric>
#include <optional>

#include "blocks.h"
#include "contraction.h"
#include "deepspin.h"
#include "deepspin_pairs.h"
#include "embedding.h"
#include "fitting.h"
#include "guard.h"
#include "interface.h"

namespace spinpot {

namespace {

// Number of atoms evaluated together if nothing is kept for the backward pass: small, so that their numbers stay in the
// caches.
constexpr int64_t BLOCK = 48;

template <typename T>
const T* numbers(const void* array) {
  return static_cast<const T*>(array);
}

// Quantities that depend only on parameters and nodes: G/N_sel at the nodes (`values`), the fitting nets with folded
// weights, and for each centre element the contribution of an empty slot to T, (2T, M) (`at_empty`).
template <typename T>
struct Parameters {
  // The caller keeps the arrays of `in`.
  explicit Parameters(const spinpot_deepspin& in)
      : shape(descriptor_shape(in)),
        embedding({in.embedding_widths, in.embedding_layers, in.embedding}, in.embedding_nets,
                  {in.embedding_activation, in.embedding_threshold}, in.nets, in.chunks, in.chunk) {
    const In<T> points = matrix(numbers<T>(in.points), in.chunks * in.chunk, 1);
    values = embedding.evaluate(*memory, points);
    std::for_each_n(values.numbers, values.rows * values.columns, [&](T& value) { value *= T(1 / in.n_sel); });
    const FittingNets<const T> nets{in.last_weight, in.last_bias,
                                    {in.fitting_widths, in.fitting_layers, in.fitting}};
    int64_t column = 0;
    for (int64_t t = 0; t < in.types; ++t) {
      fitting.emplace_back(nets, t, Activation{in.fitting_activation, in.fitting_threshold}, shape);
      fitting.back().fold(*memory);
      first_node.push_back(column);
      column += in.columns[t];
      at_empty.push_back(matrix<T>(*memory, 2 * in.types, shape.width));
      each_empty(in, t, values, [&](const T* value, int64_t j, T a) {
        for (int64_t k = 0; k < shape.width; ++k) at_empty[t].row(j)[k] = a * value[k];
      });
    }
  }

  // Calls body(numbers at the first node, j, a) for each neighbour type j: an empty slot of type j adds a·G at that node.
  template <typename Body>
  static void each_empty(const spinpot_deepspin& in, int64_t type, const Matrix<T>& values, const Body& body) {
    for (int64_t j = 0; j < 2 * in.types; ++j)
      body(values.row(in.first[type * 2 * in.types + j] * in.chunk), j, numbers<T>(in.low)[type]);
  }

  // If the first layer adds D to its output, all of D is stored.
  static DescriptorShape descriptor_shape(const spinpot_deepspin& in) {
    const Layer<T> first = Nets<const T>{in.fitting_widths, in.fitting_layers, in.fitting}.layer(0, 0);
    return {first.width_in() / in.axis, in.axis, first.repeats() ? 0 : in.axis};
  }

  Borrowed memory = borrow();
  DescriptorShape shape;
  EmbeddingNets<T> embedding;
  std::vector<FittingNet<T>> fitting;
  std::vector<int64_t> first_node;
  Matrix<T> values = {};
  std::vector<Matrix<T>> at_empty;
};

struct AnyNetwork {
  virtual ~AnyNetwork() = default;
  virtual void backward(const spinpot_derivatives& by, void* const* embedding, void* const* fitting, void* last_weight,
                        void* last_bias) = 0;
  int64_t threads;
};

template <typename T>
class Network : public AnyNetwork {
 public:
  // keep: whether to keep the data that `backward` needs.
  Network(const spinpot_deepspin& in, std::shared_ptr<const Parameters<T>> parameters, bool keep)
      : in_(in),
        keep_(keep),
        parameters_(std::move(parameters)),
        shape_(parameters_->shape),
        memory_(borrow()),
        centres_(blocks_of(in.types, in.type_sizes, in.atom_order, keep ? 0 : BLOCK)),
        blocks_(centres_.size()) {
    threads = in.threads;
  }

  void forward(const spinpot_derivatives& out) {
    const auto forces = forces_of_threads<T>(out, in_.atoms, in_.frames, *memory_);
    for (size_t n = 0; n < (keep_ ? blocks_.size() : forces.size()); ++n) memories_.push_back(borrow());
    each_block(centres_, [&](int64_t b, int64_t thread) {
      Workspace& memory = *memories_[keep_ ? b : thread];
      if (!keep_) memory.rewind();
      evaluate(centres_[b], blocks_[b], memory, static_cast<T*>(out.energy), &forces[thread]);
    });
    add_up(forces, in_.atoms, in_.frames);
  }

  void backward(const spinpot_derivatives& by, void* const* embedding, void* const* fitting, void* last_weight,
                void* last_bias) override {
    const Borrowed memory = borrow();
    const FittingNets<T> by_fitting{last_weight, last_bias, {in_.fitting_widths, in_.fitting_layers, fitting}};
    const Matrix<T>& values = parameters_->values;
    const auto by_values = matrix(memory->zeros<T>(values.rows * values.columns), values.rows, values.columns);
    each_block(centres_, [&](int64_t b, int64_t) { differentiate(centres_[b], blocks_[b], by, by_fitting, by_values); });
    std::for_each_n(by_values.numbers, by_values.rows * by_values.columns, [&](T& by) { by *= T(1 / in_.n_sel); });
    parameters_->embedding.backward(*memory, by_values, {in_.embedding_widths, in_.embedding_layers, embedding});
  }

 private:
  // Data of n atoms of one element. nodes: G/N_sel at the nodes that their pairs use. environment, by_environment: T and
  // ∂E/∂T, (n, 4, M). descriptors (2n, size): D in the upper half, later ∂L/∂(∂E/∂D) in the lower half. by_descriptor:
  // ∂E/∂D; it overwrites D if nothing is kept. empty (n, 2T): numbers of empty slots, sel_j − n_j.
  struct Block {
    std::optional<PairMap<T>> pairs = {};
    Matrix<T> nodes = {};
    Environments<T> environment = {}, by_environment = {};
    Matrix<T> descriptors = {}, by_descriptor = {}, empty = {};
    FittingStates<T> fitting = {};
  };

  // The rows of `values`, or of its gradients, at the nodes of a centre element.
  Matrix<T> at_nodes(const Matrix<T>& values, const Centres& centres) const {
    return values.of_rows(parameters_->first_node[centres.type], in_.columns[centres.type]);
  }

  Environments<T> environments(Workspace& memory, const Centres& centres, bool zero) const {
    const int64_t count = centres.count * 4 * shape_.width;
    return {zero ? memory.zeros<T>(count) : memory.numbers<T>(count), centres.count, shape_.width};
  }

  // Computes energies, and adds to the thread's forces unless these are null.
  void evaluate(const Centres& centres, Block& here, Workspace& memory, T* energy, const Forces<T>* forces) const {
    const int64_t n = centres.count, neighbours = 2 * in_.types;
    here.pairs.emplace(in_, centres, memory);
    here.environment = environments(memory, centres, false);
    here.nodes = here.pairs->reached(memory, at_nodes(parameters_->values, centres));
    multiply<T>(here.pairs->sums().transposed(), here.nodes, here.environment.rows());
    here.empty = matrix<T>(memory, n, neighbours);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < neighbours; ++j)
        here.empty.row(i)[j] = numbers<T>(in_.sel)[j] - T(in_.neighbour_counts[centres.atoms[i] * neighbours + j]);
    multiply<T>(here.empty, parameters_->at_empty[centres.type], here.environment.scalars(), true);
    here.descriptors = matrix<T>(memory, 2 * n, shape_.size());
    if (forces->force) here.by_descriptor = keep_ ? matrix<T>(memory, n, shape_.size()) : here.descriptors.upper();
    contract(here.environment, shape_, here.descriptors.upper());
    T* own = memory.numbers<T>(n);
    here.fitting = parameters_->fitting[centres.type].evaluate(memory, here.descriptors, own, here.by_descriptor, keep_);
    for (int64_t i = 0; i < n; ++i) energy[centres.atoms[i]] = own[i];
    if (!forces->force) return;
    here.by_environment = environments(memory, centres, true);
    pull_back<T>(here.environment, here.by_descriptor, shape_, here.by_environment);
    const auto by_sums = here.pairs->sums(memory);
    multiply<T>(here.by_environment.rows(), here.nodes.transposed(), by_sums.transposed());
    here.pairs->add_derivatives(by_sums, forces);
  }

  // Fills the gradients with respect to the fitting net, and adds those with respect to G at the nodes.
  void differentiate(const Centres& centres, Block& here, const spinpot_derivatives& by,
                     const FittingNets<T>& by_fitting, const Matrix<T>& by_values) const {
    const Borrowed memory = borrow();
    const int64_t n = centres.count;
    const auto change = here.pairs->sums(*memory);
    here.pairs->transposed(numbers<T>(by.force), numbers<T>(by.force_mag), numbers<T>(by.virial), change);
    const auto u = environments(*memory, centres, false);  // ∂L/∂(∂E/∂T)
    multiply<T>(change.transposed(), here.nodes, u.rows());
    contract_change(here.environment, u, shape_, here.descriptors.lower());
    T* by_energy = memory->numbers<T>(n);
    for (int64_t i = 0; i < n; ++i) by_energy[i] = numbers<T>(by.energy)[centres.atoms[i]];
    const auto by_descriptor = matrix<T>(*memory, n, shape_.size());
    parameters_->fitting[centres.type].backward(*memory, here.fitting, by_energy, by_descriptor, by_fitting);
    const auto by_environment = environments(*memory, centres, true);
    pull_back<T>(u, here.by_descriptor, shape_, by_environment);
    pull_back<T>(here.environment, by_descriptor, shape_, by_environment);
    const auto by_nodes = matrix<T>(*memory, here.nodes.rows, shape_.width);
    multiply<T>(change, here.by_environment.rows(), by_nodes);
    multiply<T>(here.pairs->sums(), by_environment.rows(), by_nodes, true);
    here.pairs->add_reached(by_nodes, at_nodes(by_values, centres));
    const auto by_empty = matrix<T>(*memory, here.empty.columns, shape_.width);
    multiply<T>(here.empty.transposed(), by_environment.scalars(), by_empty);
    if (n == 0) return;
    Parameters<T>::each_empty(in_, centres.type, by_values, [&](T* by_value, int64_t j, T a) {
      for (int64_t k = 0; k < shape_.width; ++k) by_value[k] += a * by_empty.row(j)[k];
    });
  }

  const spinpot_deepspin in_;
  bool keep_;
  std::shared_ptr<const Parameters<T>> parameters_;
  DescriptorShape shape_;
  Borrowed memory_;
  std::vector<Centres> centres_;  // one for each block
  std::vector<Block> blocks_;
  std::vector<Borrowed> memories_;  // one for each block; one for each thread if nothing is kept
};

constexpr int64_t MOST = int64_t(1) << 40;

// Checks sizes and indices of parameters and nodes, so that no array is read past its end.
void check_parameters(const spinpot_deepspin& in) {
  const int64_t sizes[] = {in.types - 1,          in.chunks - 1,         in.chunk - 1, in.embedding_nets - 1,
                           in.embedding_layers - 1, in.fitting_layers - 1, in.axis - 1};
  require(within(sizes, std::size(sizes), MOST), "sizes above zero");
  const int64_t nodes = in.chunks * in.chunk, of_types = 2 * in.types * in.types;
  require(within(in.columns, in.types, nodes + 1), "columns of each element");
  require(std::accumulate(in.columns, in.columns + in.types, int64_t(0)) <= nodes, "nodes for all columns");
  require(within(in.first, of_types, in.chunks) && within(in.nets, in.chunks, in.embedding_nets), "nodes and nets");
  require(std::all_of(in.n_nodes, in.n_nodes + of_types, [](int64_t n) { return n >= STENCIL && n < MOST; }),
          "nodes enough for a stencil");
  require(std::all_of(in.embedding_widths, in.embedding_widths + in.embedding_layers + 1,
                      [](int64_t n) { return n > 0; }) &&
              std::all_of(in.fitting_widths, in.fitting_widths + in.fitting_layers + 1, [](int64_t n) { return n > 0; }),
          "layers of some width");
  const int64_t width = in.embedding_widths[in.embedding_layers];
  require(in.embedding_widths[0] == 1 && in.axis <= width && in.fitting_widths[0] == width * in.axis,
          "nets that fit to each other");
}

// Checks sizes and indices of a batch. Pairs are checked when they are read.
void check_atoms(const spinpot_deepspin& in) {
  const int64_t sizes[] = {in.atoms, in.frames, in.pairs};
  require(within(sizes, std::size(sizes), MOST), "sizes that are not negative");
  check_batch(in);
}

template <typename T>
void forward(const spinpot_deepspin& in, const spinpot_derivatives& out, void** kept) {
  auto network = std::make_unique<Network<T>>(in, std::make_shared<const Parameters<T>>(in), kept != nullptr);
  network->forward(out);
  if (kept) *kept = static_cast<AnyNetwork*>(network.release());
}

template <typename T>
class Prepared final : public PreparedDeepSpin {
 public:
  explicit Prepared(const spinpot_deepspin& in) : parameters_(std::make_shared<const Parameters<T>>(in)) {}

  void evaluate(const spinpot_deepspin& in, const spinpot_derivatives& out) const override {
    check_atoms(in);
    Network<T>(in, parameters_, false).forward(out);
  }

 private:
  std::shared_ptr<const Parameters<T>> parameters_;
};

}  // namespace

std::unique_ptr<PreparedDeepSpin> prepare_deepspin(const spinpot_deepspin& in) {
  check_parameters(in);
  if (in.single) return std::make_unique<Prepared<float>>(in);
  return std::make_unique<Prepared<double>>(in);
}

}  // namespace spinpot

using namespace spinpot;

int spinpot_deepspin_forward(const spinpot_deepspin* in, const spinpot_derivatives* out, void** kept) {
  return guarded(in->threads, [&] {
    require(out->force || !kept || in->atoms == 0, "derivatives, too, where something is kept");
    check_parameters(*in);
    check_atoms(*in);
    in->single ? forward<float>(*in, *out, kept) : forward<double>(*in, *out, kept);
  });
}

int spinpot_deepspin_backward(void* kept, const spinpot_derivatives* by, void* const* embedding, void* const* fitting,
                              void* last_weight, void* last_bias) {
  auto* network = static_cast<AnyNetwork*>(kept);
  return guarded(network->threads, [&] { network->backward(*by, embedding, fitting, last_weight, last_bias); });
}

void spinpot_deepspin_free(void* kept) { delete static_cast<AnyNetwork*>(kept); }
