// Layers of networks, with the formulas of spinpot.models.deepspin.networks.

#pragma once

#include <algorithm>
#include <type_traits>

#include "activations.h"
#include "parallel.h"
#include "products.h"

namespace spinpot {

// y = idt ⊙ f(xW + b) + skip of x; idt may be null. In layers without a skip, the first rows of W may be stored separately,
// in `first`; otherwise `first` has no rows.
template <typename T>
struct Layer {
  Matrix<const T> weight;
  const T *bias, *idt;
  Matrix<const T> first = {};

  int64_t width_in() const { return first.rows + weight.rows; }
  int64_t width() const { return weight.columns; }
  // Number of copies of x that the skip adds to y.
  int64_t repeats() const {
    return first.rows > 0 ? 0 : width() == width_in() ? 1 : width() == 2 * width_in() ? 2 : 0;
  }
  T scale(int64_t column) const { return idt ? idt[column] : T(1); }
};

// The parameters of K nets of one shape, or gradients with respect to them. widths: of the input and of each layer. arrays:
// W (K, n_in, n_out), b (K, n_out) and idt (K, n_out; null if there is none) of each layer.
template <typename T>
struct Nets {
  using Void = std::conditional_t<std::is_const_v<T>, const void, void>;
  const int64_t* widths;
  int64_t layers;
  Void* const* arrays;

  T* weight(int64_t layer, int64_t net) const { return of(layer, 0, net, widths[layer] * widths[layer + 1]); }
  T* bias(int64_t layer, int64_t net) const { return of(layer, 1, net, widths[layer + 1]); }
  T* idt(int64_t layer, int64_t net) const { return of(layer, 2, net, widths[layer + 1]); }

  Layer<std::remove_const_t<T>> layer(int64_t l, int64_t net) const {
    return {matrix<const T>(weight(l, net), widths[l], widths[l + 1]), bias(l, net), idt(l, net)};
  }

 private:
  T* of(int64_t layer, int64_t which, int64_t net, int64_t size) const {
    T* all = static_cast<T*>(arrays[3 * layer + which]);
    return all ? all + net * size : nullptr;
  }
};

// Calls body(begin, end) for parts of a layer's columns, on several threads.
template <typename T, typename Body>
void each_part(const Layer<T>& layer, const Body& body) {
  parallel(layer.width(), 64, body);
}

// The columns of x that are multiplied by `first`, and those that are multiplied by the other rows of W.
template <typename T>
Matrix<T> of_first(const Layer<std::remove_const_t<T>>& layer, const Matrix<T>& x) {
  return x.part(0, x.rows, 0, layer.first.rows);
}

template <typename T>
Matrix<T> of_others(const Layer<std::remove_const_t<T>>& layer, const Matrix<T>& x) {
  return x.part(0, x.rows, layer.first.rows, layer.weight.rows);
}

// out = xW, or out += xW if `add`.
template <typename T>
void times_weight(const Layer<T>& layer, const In<T>& x, const Matrix<T>& out, bool add) {
  multiply<T>(of_others(layer, x), layer.weight, out, add);
  if (layer.first.rows) multiply<T>(of_first(layer, x), layer.first, out, true);
}

// z = xW + b.
template <typename T>
void affine(const Layer<T>& layer, const In<T>& x, const Matrix<T>& z) {
  for (int64_t i = 0; i < z.rows; ++i) std::copy_n(layer.bias, layer.width(), z.row(i));
  times_weight(layer, x, z, true);
}

// Adds the skip of x to columns [begin, end) of y, for one row.
template <typename T>
void add_skip(const Layer<T>& layer, const T* x, int64_t begin, int64_t end, T* y) {
  const int64_t n = layer.width_in();
  for (int64_t from = 0; from < layer.repeats() * n; from += n)
    for (int64_t c = std::max(begin, from); c < std::min(end, from + n); ++c) y[c] += x[c - from];
}

// y = idt ⊙ f(z) + skip of x. value: f(z).
template <typename T>
void output(const Layer<T>& layer, const In<T>& value, const In<T>& x, const Matrix<T>& y) {
  each_part(layer, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < y.rows; ++i) {
      const T* f = value.row(i);
      T* row = y.row(i);
      for (int64_t c = begin; c < end; ++c) row[c] = layer.scale(c) * f[c];
      add_skip(layer, x.row(i), begin, end, row);
    }
  });
}

// ∂E/∂z = idt ⊙ ∂E/∂y ⊙ f'.
template <typename T>
void down(const Layer<T>& layer, const In<T>& by_output, const In<T>& slope, const Matrix<T>& by_z) {
  each_part(layer, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < by_z.rows; ++i) {
      const T *g = by_output.row(i), *df = slope.row(i);
      T* row = by_z.row(i);
      for (int64_t c = begin; c < end; ++c) row[c] = layer.scale(c) * g[c] * df[c];
    }
  });
}

// ∂E/∂x of a layer from ∂E/∂y and ∂E/∂z.
template <typename T>
void by_input(const Layer<T>& layer, const In<T>& by_output, const In<T>& by_z, const Matrix<T>& by_x) {
  multiply<T>(by_z, layer.weight.transposed(), of_others(layer, by_x));
  if (layer.first.rows) multiply<T>(by_z, layer.first.transposed(), of_first(layer, by_x));
  for (int64_t i = 0; i < by_x.rows; ++i)
    for (int64_t n = 0; n < layer.repeats(); ++n)
      for (int64_t c = 0; c < layer.width_in(); ++c) by_x.row(i)[c] += by_output.row(i)[n * layer.width_in() + c];
}

// sums += Σ_i a_i, or Σ_i a_i ⊙ b_i, over rows.
template <typename T>
void add_rows(const In<T>& a, T* sums) {
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t c = 0; c < a.columns; ++c) sums[c] += a.row(i)[c];
}

template <typename T>
void add_rows(const In<T>& a, const In<T>& b, T* sums) {
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t c = 0; c < a.columns; ++c) sums[c] += a.row(i)[c] * b.row(i)[c];
}

}  // namespace spinpot
