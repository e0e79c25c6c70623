// Activation functions with two derivatives, as in spinpot.models.deepspin.activations.

#pragma once

#include <string_view>

#include "matrix.h"

namespace spinpot {

// A function by its name in the configs; the caller keeps the text. silut has a threshold.
struct Activation {
  std::string_view kind;
  double threshold;
};

// f, f' and f'' of numbers z (n, width): `apply` overwrites z in `value` by f. A null curvature is not computed.
template <typename T>
struct Activated {
  Matrix<T> value, slope, curvature;

  Activated(Workspace& memory, int64_t rows, int64_t columns, bool curved)
      : value(matrix<T>(memory, rows, columns)),
        slope(matrix<T>(memory, rows, columns)),
        curvature(curved ? matrix<T>(memory, rows, columns) : Matrix<T>{}) {}

  // Applies it to `rows` rows, from `first` on.
  void apply(const Activation& activation, int64_t first, int64_t rows) const;
};

extern template struct Activated<double>;
extern template struct Activated<float>;

}  // namespace spinpot
