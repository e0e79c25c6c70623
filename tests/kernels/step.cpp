// What a step does besides the network: penalties, the look at gradients and Adam, of any size.

#include <cmath>
#include <limits>
#include <vector>

#include "checks.h"
#include "interface.h"

namespace {

constexpr double NAN_ = std::numeric_limits<double>::quiet_NaN();

template <typename T>
void look_at_numbers() {
  constexpr int single = sizeof(T) == sizeof(float);
  for (int64_t size : {0, 1, 7, 65, 100000}) {
    std::vector<T> numbers(size, T(1));
    CHECK(spinpot_all_finite(numbers.data(), size, single) == 0);
    if (size == 0) continue;
    numbers.back() = std::numeric_limits<T>::infinity();
    CHECK(spinpot_all_finite(numbers.data(), size, single) == 1);
  }
}

void numbers_that_are_not_finite() {
  look_at_numbers<float>();
  look_at_numbers<double>();
}

template <typename T>
void steps(int64_t threads) {
  for (int64_t size : {0, 1, 3, 16, 17, 100001}) {
    std::vector<T> parameter(size, T(1)), gradient(size, T(2)), mean(size), square(size);
    float taken = 0;
    void* const places[] = {parameter.data(), gradient.data(), mean.data(), square.data(), &taken};
    const signed char single = sizeof(T) == sizeof(float);
    for (int step = 0; step < 3; ++step)
      CHECK(spinpot_adam_step(places, &size, &single, 1, 0.1, 0.9, 0.999, 1e-8, threads) == 0);
    CHECK(taken == 3.0f);
    for (T value : parameter) CHECK(std::abs(value - T(0.7)) < T(1e-5));
  }
}

void steps_of_adam() {
  for (int64_t threads : {1, 2, 5}) {
    steps<float>(threads);
    steps<double>(threads);
  }
  CHECK(spinpot_adam_step(nullptr, nullptr, nullptr, 0, 0.1, 0.9, 0.999, 1e-8, 2) == 0);
  float taken = 0;
  void* const places[] = {nullptr, nullptr, nullptr, nullptr, &taken};
  const int64_t size = -1;
  const signed char single = 0;
  CHECK(spinpot_adam_step(places, &size, &single, 1, 0.1, 0.9, 0.999, 1e-8, 2) != 0 && *spinpot_error());
}

template <typename T>
void penalties_of(int64_t rows, int64_t width, int function) {
  std::vector<T> prediction(rows * width, T(3)), slope(rows * width);
  std::vector<double> label(rows * width, 1.0);
  std::vector<unsigned char> counted(rows, 1);
  std::vector<int64_t> n_atoms(rows, 2);
  if (rows > 1) counted[1] = 0;
  if (rows > 2 && width > 0) label[2 * width] = NAN_;
  const spinpot_term terms[] = {
      {prediction.data(), label.data(), counted.data(), n_atoms.data(), slope.data(), rows, width,
       sizeof(T) == sizeof(float), 1.0},
      {prediction.data(), label.data(), nullptr, nullptr, slope.data(), rows, width, sizeof(T) == sizeof(float), 3.0}};
  double totals[2];
  int64_t counts[2];
  CHECK(spinpot_penalties(terms, 2, function, 0.5, 1.0, totals, counts) == 0);
  CHECK(counts[0] == (width == 0 ? 0 : rows - (rows > 1) - (rows > 2)));
  CHECK(totals[0] >= 0.0 && std::isfinite(totals[1]));
}

void penalties_of_any_size() {
  for (int function : {0, 1, 2})
    for (int64_t width : {0, 1, 3, 9})
      for (int64_t rows : {0, 1, 2, 3, 100000}) {
        penalties_of<float>(rows, width, function);
        penalties_of<double>(rows, width, function);
      }
  double total = 0.0;
  int64_t count = 0;
  CHECK(spinpot_penalties(nullptr, 0, 0, 0.5, 1.0, &total, &count) == 0);
  spinpot_term term{};
  CHECK(spinpot_penalties(&term, 1, 3, 0.5, 1.0, &total, &count) != 0);
  term.rows = -1;
  CHECK(spinpot_penalties(&term, 1, 0, 0.5, 1.0, &total, &count) != 0 && *spinpot_error());
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(numbers_that_are_not_finite), NAMED(steps_of_adam), NAMED(penalties_of_any_size)});
}
