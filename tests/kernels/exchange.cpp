// The exchange term on batches of any size.

#include <cmath>
#include <random>
#include <vector>

#include "checks.h"
#include "interface.h"

namespace {

struct Sizes {
  int64_t types, atoms, frames, pairs;  // pairs: of each atom
  int64_t radial = 3, fields = 2;
};

// A batch and a term, in arrays of just the size that the interface names.
class Batch {
 public:
  explicit Batch(const Sizes& sizes) : sizes(sizes) {
    const int64_t atoms = sizes.atoms, types = sizes.types, magnetic_types = (types + 1) / 2;
    for (int64_t atom = 0; atom < atoms; ++atom) {
      order.push_back(atom);
      frame.push_back(atom * sizes.frames / atoms);
      start.push_back(atom * sizes.pairs);
    }
    start.push_back(atoms * sizes.pairs);
    counts.assign(atoms * 2 * types, 0);
    type_sizes.assign(types, 0);
    type_sizes[0] = atoms - atoms / 3;  // of more elements than two some have no atoms
    type_sizes.back() += atoms / 3;
    for (int64_t pair = 0; pair < atoms * sizes.pairs; ++pair) {
      neighbour.push_back((pair * 31 + 5) % atoms);
      type.push_back((neighbour.back() < type_sizes[0] ? 0 : types - 1) + (pair % 3 ? 0 : types));  // some are virtual
      ++counts[pair / sizes.pairs * 2 * types + type.back()];
    }
    for (int64_t t = 0; t < types; ++t) {
      magnetic.push_back(t % 2 ? -1 : t / 2);
      elements.push_back(types - 1 - t);
    }
    vector = some(3 * atoms * sizes.pairs, 3.0);
    spin = some(3 * atoms);
    moment_squared = some(magnetic_types);
    const int64_t kinds = magnetic_types * (magnetic_types + 1) / 2, fields = magnetic_types * sizes.fields;
    for (auto* numbers : {&bilinear, &biquadratic, &anisotropic}) *numbers = some(kinds * sizes.radial);
    single_ion = some(magnetic_types * types * sizes.radial);
    landau = some(2 * magnetic_types);
    linear = some(magnetic_types * fields);
    for (auto* numbers : {&along, &across}) *numbers = some(magnetic_types * fields * (fields + 1) / 2);
  }

  int run(int64_t threads) {
    std::vector<std::vector<double>> out{std::vector<double>(sizes.atoms), std::vector<double>(3 * sizes.atoms),
                                         std::vector<double>(3 * sizes.atoms), std::vector<double>(9 * sizes.frames)};
    const spinpot_derivatives to{out[0].data(), out[1].data(), out[2].data(), out[3].data()};
    spinpot_exchange given = in(threads);
    const int code = spinpot_exchange_forward(&given, &to);
    if (!code) found = out;
    return code;
  }

  Sizes sizes;
  std::vector<int64_t> type_sizes, order, frame, start, neighbour, type, counts, magnetic, elements;
  std::vector<double> vector, spin, moment_squared, bilinear, biquadratic, anisotropic, single_ion, landau, linear, along;
  std::vector<double> across;
  std::vector<std::vector<double>> found;
  double cutoff = 4.0;
  bool all_terms = true;

 private:
  std::vector<double> some(int64_t count, double size = 0.5) {
    std::vector<double> numbers(count);
    for (double& number : numbers) number = std::uniform_real_distribution<double>(-size, size)(random_);
    return numbers;
  }

  spinpot_exchange in(int64_t threads) const {
    spinpot_exchange made{};
    made.threads = threads, made.types = sizes.types, made.magnetic_types = moment_squared.size();
    made.atoms = sizes.atoms, made.frames = sizes.frames, made.pairs = neighbour.size();
    made.radial = sizes.radial, made.fields = sizes.fields, made.cutoff = cutoff;
    made.atom_order = order.data(), made.frame = frame.data(), made.pair_start = start.data();
    made.pair_neighbour = neighbour.data(), made.pair_type = type.data(), made.type_sizes = type_sizes.data();
    made.neighbour_counts = counts.data();
    made.vector = vector.data(), made.spin = spin.data();
    made.magnetic = magnetic.data(), made.elements = elements.data(), made.moment_squared = moment_squared.data();
    made.bilinear = bilinear.data();
    if (!all_terms) return made;
    made.biquadratic = biquadratic.data(), made.anisotropic = anisotropic.data();
    made.single_ion = single_ion.data(), made.landau = landau.data();
    made.linear = linear.data(), made.along = along.data(), made.across = across.data();
    return made;
  }

  std::mt19937 random_{1};
};

void check_close(const std::vector<std::vector<double>>& found, const std::vector<std::vector<double>>& expected) {
  for (size_t n = 0; n < expected.size(); ++n)
    for (size_t k = 0; k < expected[n].size(); ++k)
      CHECK(std::abs(found[n][k] - expected[n][k]) < 1e-12 * (1.0 + std::abs(expected[n][k])));
}

void batches_of_any_size() {
  for (int64_t types : {1, 2, 5})
    for (int64_t atoms : {0, 1, 3, 70})
      for (int64_t pairs : {0, 1, 9, 33})
        for (bool all_terms : {true, false}) {
          Batch batch({types, atoms, 2, pairs});
          batch.all_terms = all_terms;
          CHECK(batch.run(1) == 0);
          const auto alone = batch.found;
          for (double value : alone[1]) CHECK(std::isfinite(value));
          CHECK(batch.run(3) == 0);
          check_close(batch.found, alone);
        }
}

void terms_of_any_size() {
  for (int64_t radial : {1, 2, 13, 40})
    for (int64_t fields : {1, 5, 25}) {
      Batch batch({3, 12, 1, 7, radial, fields});
      CHECK(batch.run(2) == 0);
    }
}

void numbers_that_are_none() {
  for (double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, 0.0}) {
    Batch batch({2, 20, 2, 3});
    for (double& x : batch.vector) x = value;
    CHECK(batch.run(2) == 0);
  }
}

void no_element_is_magnetic() {
  Batch batch({2, 5, 1, 3});
  batch.magnetic = {-1, -1};
  CHECK(batch.run(1) == 0);
  for (const auto& numbers : batch.found)
    for (double value : numbers) CHECK(value == 0.0);
}

// The energies of some atoms, and then of the others, add up to those of all.
void some_centres_at_a_time() {
  Batch batch({2, 20, 2, 9});
  CHECK(batch.run(2) == 0);
  const auto all = batch.found;
  const auto order = batch.order;
  const auto type_sizes = batch.type_sizes;
  auto total = all;
  for (auto& numbers : total) std::fill(numbers.begin(), numbers.end(), 0.0);
  for (bool first : {true, false}) {
    // Of each element the first three, or the others.
    batch.order.clear();
    for (int64_t t = 0, begin = 0; t < 2; begin += type_sizes[t++]) {
      const int64_t from = first ? 0 : 3, end = first ? 3 : type_sizes[t];
      batch.order.insert(batch.order.end(), order.begin() + begin + from, order.begin() + begin + end);
      batch.type_sizes[t] = end - from;
    }
    CHECK(batch.run(2) == 0);
    for (size_t n = 0; n < total.size(); ++n)
      for (size_t k = 0; k < total[n].size(); ++k) total[n][k] += batch.found[n][k];
  }
  check_close(total, all);
}

using Numbers = std::vector<int64_t> Batch::*;

bool refused(Numbers which, int64_t place, int64_t value) {
  Batch batch({2, 20, 2, 3});
  CHECK(batch.run(1) == 0);
  (batch.*which)[place] = value;
  return batch.run(2) != 0 && *spinpot_error();
}

void wrong_input_is_refused() {
  for (int64_t value : {int64_t(-1), int64_t(1) << 40}) {
    for (Numbers which : {&Batch::type_sizes, &Batch::order, &Batch::frame, &Batch::start, &Batch::neighbour,
                          &Batch::type, &Batch::counts, &Batch::elements})
      CHECK(refused(which, 0, value));
    CHECK(refused(&Batch::start, 20, value));
  }
  CHECK(refused(&Batch::magnetic, 0, -2));
  CHECK(refused(&Batch::magnetic, 0, 1));
  CHECK(refused(&Batch::type, 0, 4));
  Batch batch({2, 20, 2, 3});
  batch.cutoff = 0.0;
  CHECK(batch.run(1) != 0 && *spinpot_error());
  Batch none({2, 20, 2, 3});
  none.sizes.radial = -1;
  CHECK(none.run(1) != 0);
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(batches_of_any_size), NAMED(terms_of_any_size), NAMED(numbers_that_are_none),
                     NAMED(no_element_is_magnetic), NAMED(some_centres_at_a_time), NAMED(wrong_input_is_refused)});
}
