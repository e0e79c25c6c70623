// Models of files, evaluated for clusters of any size.

#include "model_files.h"

namespace {

bool close_to(const std::vector<double>& found, const std::vector<double>& wanted) {
  double largest = 0.0, off = 0.0;
  for (double number : wanted) largest = std::max(largest, std::abs(number));
  for (size_t n = 0; n < wanted.size(); ++n) off = std::max(off, std::abs(found[n] - wanted[n]));
  return found.size() == wanted.size() && off <= 1e-12 * largest;  // not so for NaN
}

bool same(const Cluster& one, const Cluster& other) {
  return close_to(one.energy, other.energy) && close_to(one.force, other.force) &&
         close_to(one.force_mag, other.force_mag) && close_to(one.virial, other.virial);
}

void check_clusters(const File& file, int64_t types) {
  const OnDisk disk;
  spinpot_model* model = read(disk, file.bytes());
  CHECK(model);
  using Sizes = std::pair<int64_t, int64_t>;
  for (const auto& [atoms, centres] : {Sizes{0, 0}, {1, 1}, {5, 0}, {9, 3}, {40, 33}, {150, 149}}) {
    Cluster one(atoms, centres, types, atoms > 20 ? 5.0 : 2.0);
    CHECK(one.evaluate(model) == 0);
    for (int64_t threads : {1, 2, 5}) {
      Cluster again = one;
      for (auto& list : again.lists) std::shuffle(list.begin(), list.end(), any);
      CHECK(again.evaluate(model, threads, threads == 2) == 0 && same(again, one));
      CHECK(again.evaluate(model, threads, false, false) == 0);
    }
    std::vector<double> sum(9, 0.0), total(3, 0.0);
    for (size_t n = 0; n < one.atom_virial.size(); ++n) sum[n % 9] += one.atom_virial[n];
    CHECK(close_to(sum, one.virial));
    for (size_t n = 0; n < one.force.size(); ++n) total[n % 3] += one.force[n];
    for (double force : total) CHECK(std::abs(force) < 1e-9);
  }
  spinpot_model_free(model);
}

void clusters_of_any_size() {
  for (int64_t types : {1, 2, 3}) {
    check_clusters(deepspin({types}), types);
    check_clusters(native_spin(types), types);
    check_clusters(with_exchange(native_spin(types), types), types);
  }
  File reversed = with_exchange(deepspin());
  reversed.time_reversal = "true";
  check_clusters(reversed, 2);
}

void models_of_any_size() {
  check_clusters(deepspin({2, {1, 1}, {1, 1}, 1}), 2);
  check_clusters(deepspin({2, {1, 4, 4, 7}, {21, 5, 10, 10, 4}, 3, true, false}), 2);
  check_clusters(native_spin(2, 1, {1}, {1}), 2);
  check_clusters(native_spin(2, 6, {}, {3}), 2);
  check_clusters(native_spin(3, 31, {1, 2, 1, 1, 1, 1, 1, 1}, {}), 3);
}

// Copies of a molecule that do not see each other, more atoms than are evaluated together.
void many_atoms() {
  const int64_t size = 8, molecules = 9000, atoms = size * molecules;
  const OnDisk disk;
  File reversed = with_exchange(deepspin({2, {1, 2}, {4, 3}, 2}));
  reversed.time_reversal = "true";
  for (const File& file : {reversed, with_exchange(native_spin(2, 2, {1, 0, 0, 1}, {3}))}) {
    spinpot_model* model = read(disk, file.bytes());
    Cluster one(size, size, 2), all(atoms, 0, 2);
    CHECK(one.evaluate(model) == 0);
    all.centres = atoms;
    all.lists.resize(atoms);
    for (int64_t i = 0; i < atoms; ++i) {
      all.types[i] = one.types[i % size];
      for (int64_t j = i - i % size; j < i - i % size + size; ++j)
        if (j != i) all.lists[i].push_back(int32_t(j));
      for (int64_t a = 0; a < 3; ++a) {
        all.coord[3 * i + a] = one.coord[3 * (i % size) + a];
        all.spin[3 * i + a] = one.spin[3 * (i % size) + a];
      }
    }
    for (bool each : {false, true}) {
      CHECK(all.evaluate(model, 2, each) == 0);
      for (int64_t i = 0; i < atoms; ++i) {
        CHECK(std::abs(all.energy[i] - one.energy[i % size]) < 1e-9);
        for (int64_t a = 0; a < 3; ++a) {
          CHECK(std::abs(all.force[3 * i + a] - one.force[3 * (i % size) + a]) < 1e-9);
          CHECK(std::abs(all.force_mag[3 * i + a] - one.force_mag[3 * (i % size) + a]) < 1e-9);
        }
      }
      for (int64_t n = 0; n < 9; ++n) CHECK(std::abs(all.virial[n] / double(molecules) - one.virial[n]) < 1e-9);
    }
    spinpot_model_free(model);
  }
}

void close_neighbours() {
  const OnDisk disk;
  const std::string bytes = deepspin().bytes();
  spinpot_model *model = read(disk, bytes), *fresh = read(disk, bytes);
  Cluster usual(20, 20, 2, 4.0), close(20, 20, 2, 0.3), apart = usual;
  CHECK(usual.evaluate(model) == 0 && close.evaluate(model) == 0);
  CHECK(apart.evaluate(model) == 0 && same(apart, usual));  // more nodes change nothing
  Cluster at_once = close;
  CHECK(at_once.evaluate(fresh) == 0 && same(at_once, close));
  spinpot_model_free(model);
  spinpot_model_free(fresh);
}

void numbers_that_are_none() {
  const OnDisk disk;
  for (const File& file : {deepspin(), native_spin()}) {
    spinpot_model* model = read(disk, file.bytes());
    for (double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, 0.0})
      for (std::vector<double> Cluster::*which : {&Cluster::coord, &Cluster::spin}) {
        Cluster cluster(20, 15, 2);
        for (double& x : cluster.*which) x = value;
        cluster.evaluate(model);
        (cluster.*which)[7] = 0.1;
        cluster.evaluate(model);
      }
    spinpot_model_free(model);
  }
}

void errors_of_any_size() {
  const OnDisk disk;
  for (int64_t types : {1, 2, 3}) {
    spinpot_model* model = read(disk, with_exchange(with_errors(native_spin(types), types), types).bytes());
    CHECK(model);
    for (const auto& [atoms, centres] : {std::pair<int64_t, int64_t>{0, 0}, {1, 1}, {5, 0}, {9, 3}, {70, 61}}) {
      Cluster one(atoms, centres, types, atoms > 20 ? 5.0 : 2.0);
      CHECK(one.expect_errors(model) == 0);
      for (double leverage : one.errors[0]) CHECK(leverage >= 0.0);
      for (double unknown : one.errors[1]) CHECK(std::isnan(unknown));
      Cluster again = one;
      CHECK(again.expect_errors(model, 3) == 0);
      for (int64_t which : {0, 2, 3}) CHECK(close_to(again.errors[which], one.errors[which]));
    }
    spinpot_model_free(model);
  }
}

void wrong_rows_are_refused() {
  const OnDisk disk;
  spinpot_model *model = read(disk, with_errors(native_spin()).bytes()), *other = read(disk, native_spin().bytes());
  const auto refused = [&](const std::function<void(Cluster&)>& change) {
    Cluster cluster(10, 8, 2);
    change(cluster);
    return cluster.expect_errors(model, 2) != 0 && *spinpot_error();
  };
  CHECK(!refused([](Cluster&) {}));
  for (int64_t number : {int64_t(-1), int64_t(1) << 62}) {
    CHECK(refused([&](Cluster& c) { c.types[9] = number; }));
    CHECK(refused([&](Cluster& c) { c.of_elements[1] = number; }));
  }
  CHECK(refused([](Cluster& c) { c.lists[7].back() = 10; }));
  const spinpot_cluster none{};
  const spinpot_rows nowhere{};
  const spinpot_complete_rows no_rows{-1, nullptr, nullptr, nullptr, nullptr, nullptr};
  CHECK(spinpot_model_rows(other, &none, &nowhere, 1) != 0);
  const spinpot_uncertainty none_of_them{};
  for (const spinpot_model* any_model : {model, other})
    CHECK(spinpot_model_uncertainty(any_model, &no_rows, &none_of_them, 1) != 0);
  spinpot_model_free(model);
  spinpot_model_free(other);
}

void wrong_clusters_are_refused() {
  const OnDisk disk;
  spinpot_model* model = read(disk, native_spin().bytes());
  const auto refused = [&](const std::function<void(Cluster&)>& change) {
    Cluster cluster(10, 8, 2);
    change(cluster);
    return cluster.evaluate(model, 2) != 0 && *spinpot_error();
  };
  CHECK(!refused([](Cluster&) {}));
  for (int64_t type : {int64_t(-1), int64_t(2), int64_t(1) << 62})
    CHECK(refused([&](Cluster& c) { c.types[9] = type; }));
  for (int32_t other : {10, -1, 1 << 30}) CHECK(refused([&](Cluster& c) { c.lists[7].back() = other; }));
  CHECK(refused([](Cluster& c) { c.atoms = 7; }));
  CHECK(!refused([](Cluster& c) { c.lists[7].back() |= 1 << 30, c.mask = (1 << 29) - 1; }));
  spinpot_model_free(model);
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(clusters_of_any_size), NAMED(models_of_any_size), NAMED(many_atoms), NAMED(close_neighbours),
                     NAMED(numbers_that_are_none), NAMED(errors_of_any_size), NAMED(wrong_rows_are_refused),
                     NAMED(wrong_clusters_are_refused)});
}
