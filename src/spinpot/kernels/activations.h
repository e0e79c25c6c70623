// Activation functions with the two derivatives that spinpot.models.deepspin.activations has.

#pragma once

#include <string_view>

#include "matrix.h"

namespace spinpot {

// A function by its name in the configs, a text that the caller keeps; silut has a threshold.
struct Activation {
  std::string_view kind;
  double threshold;
};

// f, f' and f'' of numbers z (n, width): `value` is z until `apply` puts f there. A curvature of null is left out.
template <typename T>
struct Activated {
  Matrix<T> value, slope, curvature;

  Activated(Workspace& memory, int64_t rows, int64_t columns, bool curved)
      : value(matrix<T>(memory, rows, columns)),
        slope(matrix<T>(memory, rows, columns)),
        curvature(curved ? matrix<T>(memory, rows, columns) : Matrix<T>{}) {}

  // To `rows` of them from `first` on.
  void apply(const Activation& activation, int64_t first, int64_t rows) const;
};

extern template struct Activated<double>;
extern template struct Activated<float>;

}  // namespace spinpot
