// The table of products of spinpot.models.native_spin.groups, evaluated for several centres at once.

#pragma once

#include <algorithm>
#include <vector>

#include "interface.h"
#include "products.h"

namespace spinpot {

using Vector = Lanes<double>::Vector;
constexpr int64_t LANES = Lanes<double>::count;
// Number of centres in a group. Each number of all centres of a group is stored together.
constexpr int64_t CENTRES = WIDTH<double>;

// The first places of a centre's numbers: 1, the mean S² of its element, and S. Channels and sums of products follow.
constexpr int64_t ONE = 0, MEAN_SQUARE = 1, SPIN = 2, FIRST = 5;

// The table of products, for numbers (places, CENTRES).
class Products {
 public:
  // given: number of places before the sums.
  Products(const spinpot_native_spin& in, int64_t given)
      : given_(given), places_(in.places), count_(in.terms), coefficient_(in.coefficient), sum_(in.sum),
        factors_(in.factors) {}

  // Fills the sums from the other numbers.
  void evaluate(double* numbers) const {
    clear_sums(numbers);
    for (int64_t n = 0; n < count_; ++n) {
      const auto [a, b, c] = factors(numbers, n);
      for (int64_t h = 0; h < PARTS; ++h) at(numbers, sum_[n])[h] += coefficient_[n] * a[h] * b[h] * c[h];
    }
  }

  // Backward pass: `by` has the derivatives with respect to the sums; adds those with respect to all other numbers.
  void pull_back(const double* numbers, double* by) const {
    for (int64_t n = count_; n-- > 0;) pull_back(n, numbers, by);
  }

  // Backward pass of one term.
  void pull_back(int64_t n, const double* numbers, double* by) const {
    const int64_t* places = factors_ + 3 * n;
    const auto [a, b, c] = factors(numbers, n);
    for (int64_t h = 0; h < PARTS; ++h) {
      const Vector by_term = coefficient_[n] * at(by, sum_[n])[h];
      at(by, places[0])[h] += by_term * (b[h] * c[h]);
      if (places[1] != ONE) at(by, places[1])[h] += by_term * (a[h] * c[h]);
      if (places[2] != ONE) at(by, places[2])[h] += by_term * (a[h] * b[h]);
    }
  }

  // Fills the changes of the sums from the changes of the other numbers.
  void push_forward(const double* numbers, double* change) const {
    clear_sums(change);
    for (int64_t n = 0; n < count_; ++n) {
      const auto [a, b, c] = factors(numbers, n);
      const auto [da, db, dc] = factors(change, n);
      for (int64_t h = 0; h < PARTS; ++h)
        at(change, sum_[n])[h] +=
            coefficient_[n] * ((da[h] * b[h] + a[h] * db[h]) * c[h] + a[h] * b[h] * dc[h]);
    }
  }

 private:
  static constexpr int64_t PARTS = CENTRES / LANES;
  struct Factors {
    const Vector *a, *b, *c;
  };

  static Vector* at(double* numbers, int64_t place) { return reinterpret_cast<Vector*>(numbers + CENTRES * place); }

  Factors factors(const double* numbers, int64_t n) const {
    const auto number = [&](int64_t k) {
      return reinterpret_cast<const Vector*>(numbers + CENTRES * factors_[3 * n + k]);
    };
    return {number(0), number(1), number(2)};
  }

  void clear_sums(double* numbers) const {
    std::fill(numbers + CENTRES * given_, numbers + CENTRES * places_, 0.0);
  }

  int64_t given_, places_, count_;
  const double* coefficient_;
  const int64_t *sum_, *factors_;
};

}  // namespace spinpot
