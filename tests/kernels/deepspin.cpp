// The network of DeepSPIN on batches of any size.

#include <cmath>
#include <random>
#include <vector>

#include "checks.h"
#include "interface.h"

namespace {

constexpr int64_t NODES = 28;  // of each pair of types

struct Sizes {
  int64_t types, atoms, frames, pairs;  // pairs: of each atom
  std::vector<int64_t> embedding = {1, 4, 8}, fitting = {16, 5, 5};
  bool idt = true;
};

// A batch and weights, in arrays of just the size that the interface names.
template <typename T>
class Batch {
 public:
  explicit Batch(const Sizes& sizes) : sizes(sizes), neighbours(2 * sizes.types), centres(sizes.types * neighbours) {
    const int64_t atoms = sizes.atoms, pairs = sizes.pairs * atoms;
    type_sizes.assign(sizes.types, 0);
    type_sizes[0] = atoms - atoms / 3;  // of more elements than two some have no atoms
    type_sizes.back() += atoms / 3;
    for (int64_t atom = 0; atom < atoms; ++atom) {
      order.push_back((atom * 7 + 3) % atoms);
      frame.push_back(atom * sizes.frames / atoms);
      start.push_back(atom * sizes.pairs);
    }
    if (atoms % 7 == 0)
      for (int64_t atom = 0; atom < atoms; ++atom) order[atom] = atom;
    start.push_back(pairs);
    for (int64_t pair = 0; pair < pairs; ++pair) {
      neighbour.push_back((pair * 31 + 5) % atoms);
      type.push_back(pair % neighbours);
    }
    counts.assign(atoms * neighbours, 0);
    for (int64_t pair = 0; pair < pairs; ++pair) ++counts[pair / sizes.pairs * neighbours + type[pair]];
    vector = some(3 * pairs, 3.0);
    spin = some(3 * atoms);
    davg = some(4 * sizes.types, 0.1);
    dstd.assign(4 * sizes.types, T(0.3));
    sel.assign(neighbours, T(10));
    eta.assign(neighbours, T(0.1));
    low.assign(sizes.types, T(-0.5));
    step.assign(centres, T(0.05));
    polynomials = some(64);
    n_nodes.assign(centres, NODES);
    columns.assign(sizes.types, NODES * neighbours);
    for (int64_t c = 0; c < centres; ++c) {
      column.push_back(c % neighbours * NODES);
      first.push_back(c);
      nets.push_back(c % neighbours);
    }
    points = some(centres * NODES);
    embedding = layers(sizes.embedding, neighbours);
    fitting = layers(sizes.fitting, sizes.types);
    last_weight = some(sizes.types * sizes.fitting.back());
    last_bias = some(sizes.types);
  }

  // What `forward` says; with `keep` after a backward pass.
  int run(int64_t threads, bool keep) {
    std::vector<std::vector<T>> out = outputs();
    const spinpot_derivatives to = derivatives(out);
    void* kept = nullptr;
    const auto pointers = std::pair{pointers_of(embedding), pointers_of(fitting)};
    const spinpot_deepspin given = in(threads, pointers.first, pointers.second);
    const int code = spinpot_deepspin_forward(&given, &to, keep ? &kept : nullptr);
    CHECK((kept != nullptr) == (keep && code == 0));
    if (!code) found = out;
    if (kept) {
      auto by_embedding = embedding, by_fitting = fitting;
      auto by_last = last_weight, by_bias = last_bias;
      const auto one = pointers_of(by_embedding), other = pointers_of(by_fitting);
      CHECK(spinpot_deepspin_backward(kept, &to, one.data(), other.data(), by_last.data(), by_bias.data()) == 0);
      spinpot_deepspin_free(kept);
      for (T value : by_last) CHECK(std::isfinite(value));
    }
    return code;
  }

  Sizes sizes;
  int64_t neighbours, centres;
  std::vector<int64_t> type_sizes, order, frame, start, neighbour, type, counts, n_nodes, column, first, columns, nets;
  std::vector<T> vector, spin, davg, dstd, sel, eta, low, step, polynomials, points, last_weight, last_bias;
  std::vector<std::vector<T>> embedding, fitting, found;
  const char* activation = "tanh";

 private:
  std::vector<T> some(int64_t count, double size = 0.5) {
    std::vector<T> numbers(count);
    for (T& number : numbers) number = std::uniform_real_distribution<double>(-size, size)(random_);
    return numbers;
  }

  std::vector<std::vector<T>> layers(const std::vector<int64_t>& widths, int64_t count) {
    std::vector<std::vector<T>> made;
    for (size_t l = 1; l < widths.size(); ++l) {
      made.push_back(some(count * widths[l - 1] * widths[l]));
      made.push_back(some(count * widths[l]));
      made.push_back(some(sizes.idt ? count * widths[l] : 0));
    }
    return made;
  }

  static std::vector<void*> pointers_of(std::vector<std::vector<T>>& arrays) {
    std::vector<void*> made;
    for (auto& array : arrays) made.push_back(array.empty() ? nullptr : array.data());
    return made;
  }

  std::vector<std::vector<T>> outputs() const {
    const size_t atoms = sizes.atoms, frames = sizes.frames;
    return {std::vector<T>(atoms), std::vector<T>(3 * atoms), std::vector<T>(3 * atoms), std::vector<T>(9 * frames)};
  }

  static spinpot_derivatives derivatives(std::vector<std::vector<T>>& arrays) {
    return {arrays[0].data(), arrays[1].data(), arrays[2].data(), arrays[3].data()};
  }

  spinpot_deepspin in(int64_t threads, const std::vector<void*>& embedding, const std::vector<void*>& fitting) const {
    spinpot_deepspin made{};
    made.single = sizeof(T) == sizeof(float);
    made.threads = threads;
    made.types = sizes.types, made.atoms = sizes.atoms, made.frames = sizes.frames;
    made.pairs = sizes.pairs * sizes.atoms;
    made.type_sizes = type_sizes.data(), made.atom_order = order.data(), made.frame = frame.data();
    made.pair_start = start.data(), made.pair_neighbour = neighbour.data(), made.pair_type = type.data();
    made.neighbour_counts = counts.data();
    made.vector = vector.data(), made.spin = spin.data();
    made.davg = davg.data(), made.dstd = dstd.data(), made.sel = sel.data(), made.eta = eta.data();
    made.rcut = 4.0, made.rcut_smth = 1.0, made.protection = 0.1, made.n_sel = 40.0;
    made.low = low.data(), made.step = step.data(), made.scale = 2.0;
    made.polynomials = polynomials.data();
    made.n_nodes = n_nodes.data(), made.column = column.data(), made.first = first.data();
    made.columns = columns.data();
    made.chunks = centres, made.chunk = NODES, made.points = points.data(), made.nets = nets.data();
    made.embedding_nets = neighbours;
    made.embedding_layers = sizes.embedding.size() - 1, made.fitting_layers = sizes.fitting.size() - 1;
    made.axis = sizes.fitting[0] / sizes.embedding.back();
    made.embedding_widths = sizes.embedding.data(), made.fitting_widths = sizes.fitting.data();
    made.embedding = embedding.data(), made.fitting = fitting.data();
    made.last_weight = last_weight.data(), made.last_bias = last_bias.data();
    made.embedding_activation = made.fitting_activation = activation;
    return made;
  }

  std::mt19937 random_{1};
};

template <typename T>
void run_all(const Sizes& sizes) {
  Batch<T> batch(sizes);
  std::vector<std::vector<T>> before;
  for (int64_t threads : {1, 2, 5})
    for (bool keep : {false, true}) {
      CHECK(batch.run(threads, keep) == 0);
      if (before.empty()) before = batch.found;
      for (size_t n = 0; n < before.size(); ++n)
        for (size_t k = 0; k < before[n].size(); ++k)
          CHECK(std::abs(batch.found[n][k] - before[n][k]) < 1e-3 * (1.0 + std::abs(before[n][k])));
    }
}

void batches_of_any_size() {
  for (const Sizes& sizes : {Sizes{1, 0, 0, 0}, Sizes{2, 0, 1, 0}, Sizes{2, 1, 1, 0}, Sizes{1, 1, 1, 1},
                             Sizes{2, 5, 2, 3}, Sizes{3, 64, 1, 0}, Sizes{5, 65, 65, 2}, Sizes{2, 200, 3, 17}}) {
    run_all<double>(sizes);
    run_all<float>(sizes);
  }
}

void nets_of_any_width() {
  const std::vector<int64_t> several[][2] = {{{1, 1}, {1, 1}},
                                             {{1, 4, 4, 7}, {21, 5, 10, 10, 4}},
                                             {{1, 2, 4}, {8, 8, 8}},
                                             {{1, 2, 4}, {8, 16, 4}},
                                             {{1, 8, 16}, {256, 240, 240}},
                                             {{1, 65}, {65 * 16, 19}}};
  for (const auto& [embedding, fitting] : several)
    for (bool idt : {false, true}) {
      run_all<double>({2, 20, 2, 3, embedding, fitting, idt});
      run_all<float>({2, 20, 2, 3, embedding, fitting, idt});
    }
}

void every_activation_function() {
  Batch<double> batch({2, 9, 2, 3});
  for (const char* name : {"tanh", "gelu", "silu", "softplus", "sigmoid", "relu", "relu6", "silut", "linear"}) {
    batch.activation = name;
    CHECK(batch.run(2, true) == 0);
  }
  batch.activation = "no such function";
  CHECK(batch.run(2, true) != 0 && *spinpot_error());
}

void numbers_that_are_none() {
  for (double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, 0.0}) {
    Batch<double> batch({2, 20, 2, 3});
    for (double& x : batch.vector) x = value;
    CHECK(batch.run(2, false) == 0);
  }
}

void many_atoms() {
  Batch<double> batch({2, 100000, 3, 2, {1, 4}, {4, 3}});
  CHECK(batch.run(2, false) == 0);
}

void wrong_input_is_refused() {
  using Numbers = std::vector<int64_t> Batch<double>::*;
  const auto refused = [](Numbers which, size_t place, int64_t value) {
    Batch<double> batch({2, 20, 2, 3});
    (batch.*which).at(place) = value;
    return batch.run(2, true) != 0 && *spinpot_error() && batch.run(1, false) != 0;
  };
  for (int64_t value : {int64_t(-1), int64_t(99), int64_t(1) << 62}) {
    CHECK(refused(&Batch<double>::type_sizes, 0, value));
    CHECK(refused(&Batch<double>::order, 19, value));
    CHECK(refused(&Batch<double>::frame, 19, value));
    CHECK(refused(&Batch<double>::start, 20, value));
    CHECK(refused(&Batch<double>::neighbour, 59, value));
    CHECK(refused(&Batch<double>::type, 59, value));
    CHECK(refused(&Batch<double>::first, 7, value));
    CHECK(refused(&Batch<double>::nets, 7, value));
  }
  for (int64_t value : {int64_t(-1), int64_t(0), int64_t(7), int64_t(1) << 62}) {
    CHECK(refused(&Batch<double>::n_nodes, 0, value));
    CHECK(refused(&Batch<double>::columns, 0, value == 0 ? 7 : value));
  }
  CHECK(refused(&Batch<double>::column, 0, -1000));
  CHECK(refused(&Batch<double>::column, 3, 3 * NODES + 22));
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(batches_of_any_size), NAMED(nets_of_any_width), NAMED(every_activation_function),
                     NAMED(numbers_that_are_none), NAMED(many_atoms), NAMED(wrong_input_is_refused)});
}
