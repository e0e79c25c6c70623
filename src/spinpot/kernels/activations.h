// Activation functions with two derivatives, as in spinpot.models.deepspin.activations.

#pragma once

#include <string_view>

#include "matrix.h"

namespace spinpot {

// kind: the function's name in the configs; the caller keeps this text. threshold: only silut uses it.
struct Activation {
  std::string_view kind;
  double threshold;
};

// f, f' and f'' of numbers z (n, width). The caller writes z to `value`; `apply` overwrites it by f(z). If curvature is
// null, f'' is not computed.
template <typename T>
struct Activated {
  Matrix<T> value, slope, curvature;

  Activated(Workspace& memory, int64_t rows, int64_t columns, bool curved)
      : value(matrix<T>(memory, rows, columns)),
        slope(matrix<T>(memory, rows, columns)),
        curvature(curved ? matrix<T>(memory, rows, columns) : Matrix<T>{}) {}

  // Applies the function to `rows` rows, starting at row `first`.
  void apply(const Activation& activation, int64_t first, int64_t rows) const;
};

extern template struct Activated<double>;
extern template struct Activated<float>;

}  // namespace spinpot
