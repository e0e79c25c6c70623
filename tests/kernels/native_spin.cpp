// The native-spin model on batches of any size.

#include <cmath>
#include <random>
#include <vector>

#include "checks.h"
#include "interface.h"

namespace {

constexpr int64_t COMPONENTS[] = {1, 3, 6, 3, 6, 9, 18, 3};

struct Sizes {
  int64_t types, atoms, frames, pairs;  // pairs: of each atom
  int64_t radial = 3;
  std::vector<int64_t> channels = {2, 1, 0, 2, 1, 0, 0, 1}, hidden = {5, 5};
};

// A batch and a model, in arrays of just the size that the interface names.
class Batch {
 public:
  explicit Batch(const Sizes& sizes, bool single = false) : sizes(sizes), single(single), channels(sizes.channels) {
    const int64_t atoms = sizes.atoms, types = sizes.types;
    type_sizes.assign(types, 0);
    type_sizes[0] = atoms - atoms / 3;  // of more elements than two some have no atoms
    type_sizes.back() += atoms / 3;
    counts.assign(atoms * 2 * types, 0);
    for (int64_t atom = 0; atom < atoms; ++atom) {
      order.push_back(atom);
      frame.push_back(0);
      start.push_back(atom * sizes.pairs);
    }
    for (int64_t t = 0, first = 0; t < types; first += type_sizes[t++])
      for (int64_t n = 0; n < type_sizes[t]; ++n) frame[first + n] = n * sizes.frames / type_sizes[t];
    start.push_back(atoms * sizes.pairs);
    for (int64_t pair = 0; pair < atoms * sizes.pairs; ++pair) {
      int64_t other = (pair * 31 + 5) % atoms;
      while (frame[other] != frame[pair / sizes.pairs]) other = (other + 1) % atoms;
      neighbour.push_back(other);
      type.push_back(pair % types);
      ++counts[pair / sizes.pairs * 2 * types + type.back()];
    }
    for (int64_t t = 0; t < types; ++t) magnetic.push_back(t % 2 == 0);
    vector = some(3 * atoms * sizes.pairs, 3.0);
    spin = some(3 * atoms);
    make_products();
    const int64_t size = features.size();
    moment_square = some(types);
    mixing = some(types * types * sizes.radial * mixed());
    for (auto* numbers : {&mean, &scale, &linear, &centre}) *numbers = some(types * size);
    nearness.assign(types * size, 0.1);
    widths = {size};
    widths.insert(widths.end(), sizes.hidden.begin(), sizes.hidden.end());
    for (size_t l = 1; l < widths.size(); ++l) {
      layers.push_back(some(types * widths[l - 1] * widths[l]));
      layers.push_back(some(types * widths[l]));
      layers.push_back(some(types * widths[l]));
    }
    last_weight = some(types * widths.back());
    last_bias = some(types);
  }

  // What `forward` says; with `keep` after a backward pass.
  int run(int64_t threads, bool keep) {
    std::vector<std::vector<double>> out = outputs(1);
    const spinpot_derivatives to = derivatives(out);
    void* kept = nullptr;
    auto nets = numbers_of_nets();
    const auto pointers = pointers_of(nets);
    const spinpot_native_spin given = in(threads, pointers);
    const int code = spinpot_native_spin_forward(&given, &to, keep ? &kept : nullptr);
    CHECK((kept != nullptr) == (keep && code == 0));
    if (!code) found = out;
    if (kept) {
      auto by_nets = nets;
      const auto by = pointers_of(by_nets);
      std::vector<double> by_linear = linear;
      CHECK(spinpot_native_spin_backward(kept, &to, by_linear.data(), by.data(), by[by.size() - 2], by.back()) == 0);
      spinpot_native_spin_free(kept);
      for (double value : by_linear) CHECK(std::isfinite(value));
    }
    return code;
  }

  int rows(int64_t threads) {
    const int64_t columns = sizes.types * static_cast<int64_t>(features.size());
    std::vector<std::vector<double>> out = outputs(columns);
    out[0].resize(sizes.frames * columns);
    const spinpot_derivatives to = derivatives(out);
    auto nets = numbers_of_nets();
    const auto pointers = pointers_of(nets);
    const spinpot_native_spin given = in(threads, pointers);
    const int code = spinpot_native_spin_rows(&given, &to);
    if (!code) found = out;
    return code;
  }

  Sizes sizes;
  bool single;
  std::vector<int64_t> channels, type_sizes, order, frame, start, neighbour, type, counts, factors, sum, features, widths;
  std::vector<uint8_t> magnetic;
  std::vector<double> vector, spin, moment_square, mixing, mean, scale, coefficient, linear, centre, nearness;
  std::vector<double> last_weight, last_bias;
  std::vector<std::vector<double>> layers, found;
  const char* activation = "tanh";
  bool with_nets = true;

 private:
  std::vector<double> some(int64_t count, double size = 0.5) {
    std::vector<double> numbers(count);
    for (double& number : numbers) number = std::uniform_real_distribution<double>(-size, size)(random_);
    return numbers;
  }

  int64_t mixed() const {
    int64_t all = 0;
    for (int64_t n : channels) all += n;
    return all;
  }

  // Each number with S and 1, and with the sum before it.
  void make_products() {
    int64_t given = 5;
    for (size_t kind = 0; kind < channels.size(); ++kind) given += channels[kind] * COMPONENTS[kind];
    for (int64_t place = 2; place < given; ++place) {
      const int64_t made = given + place - 2;
      for (int64_t other : {int64_t(0), int64_t(2), place > 2 ? made - 1 : 0}) {
        coefficient.push_back(0.5);
        sum.push_back(made);
        factors.insert(factors.end(), {place, other, place % 3 ? int64_t(0) : place});
      }
      features.push_back(made);
    }
    places = given + static_cast<int64_t>(features.size());
  }

  // Of the hidden layers, then of the last one; of the kind that nets have.
  std::vector<std::vector<char>> numbers_of_nets() const {
    std::vector<std::vector<double>> all = layers;
    all.push_back(last_weight);
    all.push_back(last_bias);
    std::vector<std::vector<char>> made;
    for (const auto& numbers : all) {
      const std::vector<float> rounded(numbers.begin(), numbers.end());
      const char* bytes = single ? reinterpret_cast<const char*>(rounded.data())
                                 : reinterpret_cast<const char*>(numbers.data());
      made.emplace_back(bytes, bytes + numbers.size() * (single ? sizeof(float) : sizeof(double)));
    }
    return made;
  }

  static std::vector<void*> pointers_of(std::vector<std::vector<char>>& arrays) {
    std::vector<void*> made;
    for (auto& array : arrays) made.push_back(array.data());
    return made;
  }

  std::vector<std::vector<double>> outputs(size_t columns) const {
    const size_t atoms = sizes.atoms * columns, frames = sizes.frames * columns;
    return {std::vector<double>(atoms), std::vector<double>(3 * atoms), std::vector<double>(3 * atoms),
            std::vector<double>(9 * frames)};
  }

  static spinpot_derivatives derivatives(std::vector<std::vector<double>>& arrays) {
    return {arrays[0].data(), arrays[1].data(), arrays[2].data(), arrays[3].data()};
  }

  spinpot_native_spin in(int64_t threads, const std::vector<void*>& nets) const {
    spinpot_native_spin made{};
    made.single = single, made.threads = threads;
    made.types = sizes.types, made.atoms = sizes.atoms, made.frames = sizes.frames;
    made.pairs = neighbour.size(), made.radial = sizes.radial;
    made.invariants = features.size(), made.terms = sum.size(), made.places = places;
    made.cutoff = 4.0, made.closest = 1.0, made.width = 0.7, made.energy_scale = 0.1;
    made.atom_order = order.data(), made.frame = frame.data(), made.pair_start = start.data();
    made.pair_neighbour = neighbour.data(), made.pair_type = type.data(), made.neighbour_counts = counts.data();
    made.vector = vector.data(), made.spin = spin.data(), made.magnetic = magnetic.data();
    made.moment_square = moment_square.data(), made.mixing = mixing.data();
    made.mean = mean.data(), made.scale = scale.data();
    made.coefficient = coefficient.data(), made.factors = factors.data(), made.sum = sum.data();
    made.features = features.data();
    made.linear = linear.data(), made.centre = centre.data(), made.nearness = nearness.data();
    made.type_sizes = type_sizes.data(), made.channels = channels.data();
    if (!with_nets) return made;
    made.layers = widths.size() - 1, made.widths = widths.data(), made.hidden = nets.data();
    made.last_weight = nets[nets.size() - 2], made.last_bias = nets.back();
    made.activation = activation;
    return made;
  }

  int64_t places = 0;
  std::mt19937 random_{1};
};

void check_close(const std::vector<std::vector<double>>& found, const std::vector<std::vector<double>>& before) {
  for (size_t n = 0; n < before.size(); ++n)
    for (size_t k = 0; k < before[n].size(); ++k)
      CHECK(std::abs(found[n][k] - before[n][k]) < 1e-3 * (1.0 + std::abs(before[n][k])));
}

void run_all(const Sizes& sizes, bool single = false) {
  Batch batch(sizes, single);
  std::vector<std::vector<double>> before, rows;
  for (int64_t threads : {1, 2, 5}) {
    for (bool keep : {false, true}) {
      CHECK(batch.run(threads, keep) == 0);
      if (before.empty()) before = batch.found;
      check_close(batch.found, before);
    }
    CHECK(batch.rows(threads) == 0);
    if (rows.empty()) rows = batch.found;
    check_close(batch.found, rows);
  }
  batch.with_nets = false;
  CHECK(batch.run(2, true) == 0);
}

void batches_of_any_size() {
  for (const Sizes& sizes : {Sizes{1, 0, 0, 0}, Sizes{2, 0, 1, 0}, Sizes{2, 1, 1, 0}, Sizes{1, 1, 1, 1},
                             Sizes{2, 5, 2, 3}, Sizes{3, 64, 1, 0}, Sizes{5, 65, 5, 2}, Sizes{2, 100, 3, 37}}) {
    run_all(sizes);
    run_all(sizes, true);
  }
}

void models_of_any_size() {
  run_all({2, 20, 2, 9, 1, {1, 0, 0, 0, 0, 0, 0, 0}, {1}});
  run_all({2, 20, 2, 9, 5, {0, 0, 0, 2, 0, 0, 0, 0}, {3}});
  run_all({2, 20, 2, 9, 6, {0, 0, 0, 0, 0, 0, 0, 0}, {3}});
  run_all({3, 40, 2, 9, 31, {1, 2, 1, 1, 1, 1, 1, 1}, {8, 16, 4}});
  run_all({1, 20, 2, 9, 11, {7, 5, 0, 3, 0, 1, 0, 0}, {33, 33}}, true);
}

void numbers_that_are_none() {
  for (double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, 0.0}) {
    Batch batch({2, 20, 2, 3});
    for (double& x : batch.vector) x = value;
    CHECK(batch.run(2, false) == 0 && batch.rows(2) == 0);
  }
}

void many_atoms() {
  Batch batch({2, 50000, 3, 2, 2, {1, 0, 0, 1, 0, 0, 0, 0}, {3}});
  CHECK(batch.run(2, false) == 0);
}

void wrong_input_is_refused() {
  using Numbers = std::vector<int64_t> Batch::*;
  const auto refused = [](Numbers which, size_t place, int64_t value) {
    Batch batch({2, 20, 2, 3});
    (batch.*which).at(place) = value;
    return batch.run(2, true) != 0 && *spinpot_error() && batch.run(1, false) != 0 && batch.rows(2) != 0;
  };
  for (int64_t value : {int64_t(-1), int64_t(999), int64_t(1) << 62}) {
    for (Numbers which : {&Batch::type_sizes, &Batch::channels, &Batch::features, &Batch::factors, &Batch::sum})
      CHECK(refused(which, 0, value));
    for (Numbers which : {&Batch::order, &Batch::frame}) CHECK(refused(which, 19, value));
    CHECK(refused(&Batch::start, 20, value));
    for (Numbers which : {&Batch::neighbour, &Batch::type}) CHECK(refused(which, 59, value));
    CHECK(refused(&Batch::counts, 4 * 19, value));
  }
  CHECK(refused(&Batch::widths, 0, 3));
  CHECK(refused(&Batch::widths, 1, 0));
  CHECK(refused(&Batch::type, 0, 2));
  Batch batch({2, 20, 2, 3});
  batch.activation = "no such function";
  CHECK(batch.run(2, true) != 0 && *spinpot_error());
  Batch other({2, 20, 2, 3});
  std::swap(other.frame[0], other.frame[12]);
  CHECK(other.rows(1) != 0 && *spinpot_error());
  Batch apart({2, 20, 2, 3});
  apart.frame.assign(20, 0);
  apart.frame[apart.neighbour[0]] = 1;
  CHECK(apart.rows(1) != 0 && *spinpot_error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(batches_of_any_size), NAMED(models_of_any_size), NAMED(numbers_that_are_none),
                     NAMED(many_atoms), NAMED(wrong_input_is_refused)});
}
