// DeepSPIN: energies with all first derivatives, and the gradients of a loss of them. The same as
// spinpot.models.deepspin.descriptor and fitting, whose names the arrays here bear.

#include <numeric>
#include <optional>

#include "blocks.h"
#include "contraction.h"
#include "deepspin_pairs.h"
#include "embedding.h"
#include "fitting.h"
#include "guard.h"
#include "interface.h"

namespace spinpot {

namespace {

// Atoms that are evaluated together where nothing is kept of them: few, so that their numbers stay in the caches.
constexpr int64_t BLOCK = 48;

struct AnyNetwork {
  virtual ~AnyNetwork() = default;
  virtual void backward(const spinpot_derivatives& by, void* const* embedding, void* const* fitting, void* last_weight,
                        void* last_bias) = 0;
  int64_t threads;
};

template <typename T>
class Network : public AnyNetwork {
 public:
  // keep: for `backward`.
  Network(const spinpot_deepspin& in, bool keep)
      : in_(in),
        keep_(keep),
        shape_(descriptor_shape(in)),
        memory_(borrow()),
        embedding_({in.embedding_widths, in.embedding_layers, in.embedding}, in.embedding_nets,
                   {in.embedding_activation, in.embedding_threshold}, in.nets, in.chunks, in.chunk),
        centres_(blocks_of(in.types, in.type_sizes, in.atom_order, keep ? 0 : BLOCK)),
        blocks_(centres_.size()) {
    threads = in.threads;
    const FittingNets<const T> nets{in.last_weight, in.last_bias,
                                    {in.fitting_widths, in.fitting_layers, in.fitting}};
    int64_t column = 0;
    for (int64_t t = 0; t < in.types; ++t) {
      nets_.emplace_back(nets, t, Activation{in.fitting_activation, in.fitting_threshold}, shape_);
      first_node_.push_back(column);
      column += in.columns[t];
    }
  }

  void forward(const spinpot_derivatives& out) {
    const In<T> points = matrix(numbers(in_.points), in_.chunks * in_.chunk, 1);
    values_ = embedding_.evaluate(*memory_, points);
    std::for_each_n(values_.numbers, values_.rows * values_.columns, [&](T& value) { value *= T(1 / in_.n_sel); });
    for (auto& net : nets_) net.fold(*memory_);
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
    const auto by_values = matrix(memory->zeros<T>(values_.rows * values_.columns), values_.rows, values_.columns);
    each_block(centres_, [&](int64_t b, int64_t) { differentiate(centres_[b], blocks_[b], by, by_fitting, by_values); });
    std::for_each_n(by_values.numbers, by_values.rows * by_values.columns, [&](T& by) { by *= T(1 / in_.n_sel); });
    embedding_.backward(*memory, by_values, {in_.embedding_widths, in_.embedding_layers, embedding});
  }

 private:
  // Some atoms of one element, n: G/N_sel at the nodes they reach; T, ∂E/∂T (n, 4, M); D above what becomes ∂L/∂(∂E/∂D) (2n, size); ∂E/∂D; slots
  // without a neighbour, Σ_j (sel_j − n_j), (n, 2T).
  struct Block {
    std::optional<PairMap<T>> pairs = {};
    Matrix<T> nodes = {};
    Environments<T> environment = {}, by_environment = {};
    Matrix<T> descriptors = {}, by_descriptor = {}, empty = {};
    FittingStates<T> fitting = {};
  };

  // Where a first layer skips D to its output, that is whole.
  static DescriptorShape descriptor_shape(const spinpot_deepspin& in) {
    const Layer<T> first = Nets<const T>{in.fitting_widths, in.fitting_layers, in.fitting}.layer(0, 0);
    return {first.width_in() / in.axis, in.axis, first.repeats() ? 0 : in.axis};
  }

  static const T* numbers(const void* array) { return static_cast<const T*>(array); }

  // Numbers (C·n, M) like those at the nodes, of a centre element.
  Matrix<T> at_nodes(const Matrix<T>& values, const Centres& centres) const {
    return values.of_rows(first_node_[centres.type], in_.columns[centres.type]);
  }

  // body(numbers at the first node, number of the empty slot's neighbour type, a): a slot adds a times G at that node.
  template <typename Body>
  void each_empty(const Matrix<T>& values, const Centres& centres, const Body& body) const {
    if (centres.count == 0) return;
    for (int64_t j = 0; j < 2 * in_.types; ++j)
      body(values.row(in_.first[centres.type * 2 * in_.types + j] * in_.chunk), j, numbers(in_.low)[centres.type]);
  }

  Environments<T> environments(Workspace& memory, const Centres& centres, bool zero) const {
    const int64_t count = centres.count * 4 * shape_.width;
    return {zero ? memory.zeros<T>(count) : memory.numbers<T>(count), centres.count, shape_.width};
  }

  // Energies, and what each thread adds to forces.
  void evaluate(const Centres& centres, Block& here, Workspace& memory, T* energy, const Forces<T>* forces) const {
    const int64_t n = centres.count, neighbours = 2 * in_.types;
    const auto at_empty = matrix<T>(memory, neighbours, shape_.width);
    here.pairs.emplace(in_, centres, memory);
    here.environment = environments(memory, centres, false);
    here.nodes = here.pairs->reached(memory, at_nodes(values_, centres));
    multiply<T>(here.pairs->sums().transposed(), here.nodes, here.environment.rows());
    each_empty(values_, centres, [&](const T* value, int64_t j, T a) {
      for (int64_t k = 0; k < shape_.width; ++k) at_empty.row(j)[k] = a * value[k];
    });
    here.empty = matrix<T>(memory, n, neighbours);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < neighbours; ++j)
        here.empty.row(i)[j] = numbers(in_.sel)[j] - T(in_.neighbour_counts[centres.atoms[i] * neighbours + j]);
    multiply<T>(here.empty, at_empty, here.environment.scalars(), true);
    here.descriptors = matrix<T>(memory, 2 * n, shape_.size());
    here.by_descriptor = keep_ ? matrix<T>(memory, n, shape_.size()) : here.descriptors.upper();
    contract(here.environment, shape_, here.descriptors.upper());
    T* own = memory.numbers<T>(n);
    here.fitting = nets_[centres.type].evaluate(memory, here.descriptors, own, here.by_descriptor, keep_);
    for (int64_t i = 0; i < n; ++i) energy[centres.atoms[i]] = own[i];
    here.by_environment = environments(memory, centres, true);
    pull_back<T>(here.environment, here.by_descriptor, shape_, here.by_environment);
    const auto by_sums = here.pairs->sums(memory);
    multiply<T>(here.by_environment.rows(), here.nodes.transposed(), by_sums.transposed());
    here.pairs->add_derivatives(by_sums, forces);
  }

  // Fills gradients by the fitting net, and those by G at the nodes.
  void differentiate(const Centres& centres, Block& here, const spinpot_derivatives& by,
                     const FittingNets<T>& by_fitting, const Matrix<T>& by_values) const {
    const Borrowed memory = borrow();
    const int64_t n = centres.count;
    const auto change = here.pairs->sums(*memory);
    here.pairs->transposed(numbers(by.force), numbers(by.force_mag), numbers(by.virial), change);
    const auto u = environments(*memory, centres, false);  // ∂L/∂(∂E/∂T)
    multiply<T>(change.transposed(), here.nodes, u.rows());
    contract_change(here.environment, u, shape_, here.descriptors.lower());
    T* by_energy = memory->numbers<T>(n);
    for (int64_t i = 0; i < n; ++i) by_energy[i] = numbers(by.energy)[centres.atoms[i]];
    const auto by_descriptor = matrix<T>(*memory, n, shape_.size());
    nets_[centres.type].backward(*memory, here.fitting, by_energy, by_descriptor, by_fitting);
    const auto by_environment = environments(*memory, centres, true);
    pull_back<T>(u, here.by_descriptor, shape_, by_environment);
    pull_back<T>(here.environment, by_descriptor, shape_, by_environment);
    const auto by_nodes = matrix<T>(*memory, here.nodes.rows, shape_.width);
    multiply<T>(change, here.by_environment.rows(), by_nodes);
    multiply<T>(here.pairs->sums(), by_environment.rows(), by_nodes, true);
    here.pairs->add_reached(by_nodes, at_nodes(by_values, centres));
    const auto by_empty = matrix<T>(*memory, here.empty.columns, shape_.width);
    multiply<T>(here.empty.transposed(), by_environment.scalars(), by_empty);
    each_empty(by_values, centres, [&](T* by_value, int64_t j, T a) {
      for (int64_t k = 0; k < shape_.width; ++k) by_value[k] += a * by_empty.row(j)[k];
    });
  }

  const spinpot_deepspin in_;
  bool keep_;
  DescriptorShape shape_;
  Borrowed memory_;
  EmbeddingNets<T> embedding_;
  std::vector<FittingNet<T>> nets_;
  std::vector<int64_t> first_node_;
  std::vector<Centres> centres_;  // of the blocks
  std::vector<Block> blocks_;
  std::vector<Borrowed> memories_;  // of the blocks; of the threads where nothing is kept
  Matrix<T> values_ = {};           // G/N_sel at the nodes
};

// That no array is read past its end; pairs are checked where they are read.
void check(const spinpot_deepspin& in) {
  constexpr int64_t most = int64_t(1) << 40;
  const int64_t sizes[] = {in.types - 1, in.atoms, in.frames, in.pairs, in.chunks - 1, in.chunk - 1, in.embedding_nets - 1,
                           in.embedding_layers - 1, in.fitting_layers - 1, in.axis - 1};
  require(within(sizes, std::size(sizes), most), "sizes that are not negative");
  check_batch(in);
  const int64_t nodes = in.chunks * in.chunk, of_types = 2 * in.types * in.types;
  require(within(in.columns, in.types, nodes + 1), "columns of each element");
  require(std::accumulate(in.columns, in.columns + in.types, int64_t(0)) <= nodes, "nodes for all columns");
  require(within(in.first, of_types, in.chunks) && within(in.nets, in.chunks, in.embedding_nets), "nodes and nets");
  require(std::all_of(in.n_nodes, in.n_nodes + of_types, [](int64_t n) { return n >= STENCIL && n < most; }),
          "nodes enough for a stencil");
  require(std::all_of(in.embedding_widths, in.embedding_widths + in.embedding_layers + 1,
                      [](int64_t n) { return n > 0; }) &&
              std::all_of(in.fitting_widths, in.fitting_widths + in.fitting_layers + 1, [](int64_t n) { return n > 0; }),
          "layers of some width");
  const int64_t width = in.embedding_widths[in.embedding_layers];
  require(in.embedding_widths[0] == 1 && in.axis <= width && in.fitting_widths[0] == width * in.axis,
          "nets that fit to each other");
}

template <typename T>
void forward(const spinpot_deepspin& in, const spinpot_derivatives& out, void** kept) {
  auto network = std::make_unique<Network<T>>(in, kept != nullptr);
  network->forward(out);
  if (kept) *kept = static_cast<AnyNetwork*>(network.release());
}

}  // namespace

}  // namespace spinpot

using namespace spinpot;

int spinpot_deepspin_forward(const spinpot_deepspin* in, const spinpot_derivatives* out, void** kept) {
  return guarded(in->threads, [&] {
    check(*in);
    in->single ? forward<float>(*in, *out, kept) : forward<double>(*in, *out, kept);
  });
}

int spinpot_deepspin_backward(void* kept, const spinpot_derivatives* by, void* const* embedding, void* const* fitting,
                              void* last_weight, void* last_bias) {
  auto* network = static_cast<AnyNetwork*>(kept);
  return guarded(network->threads, [&] { network->backward(*by, embedding, fitting, last_weight, last_bias); });
}

void spinpot_deepspin_free(void* kept) { delete static_cast<AnyNetwork*>(kept); }
