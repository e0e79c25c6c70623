// spinpot.model.contraction as loops, for the atoms of one element.

#pragma once

#include <ATen/Parallel.h>

#include "products.h"
#include "tensors.h"

namespace spinpot {

// Environments (n, 4, M) and what has their shape, as numbers of an atom.
template <typename T>
struct Environments {
  T* numbers;
  int64_t atoms, width;

  T* at(int64_t i) const { return numbers + i * 4 * width; }
};

// left (4, M), right (4, M) → Σ_c left_cm right_ck, k < axis, (M·axis,).
template <typename T, bool add>
void product(const T* left, const T* right, int64_t m, int64_t axis, T* out) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t k = 0; k < axis; ++k) {
      const T value = left[i] * right[k] + left[m + i] * right[m + k] + left[2 * m + i] * right[2 * m + k] +
                      left[3 * m + i] * right[3 * m + k];
      out[i * axis + k] = add ? out[i * axis + k] + value : value;
    }
}

// out_c += Σ_k row_k x_ck, k < axis, for the four components c, which lie m apart in x and out.
template <typename T>
void add_dots(const T* row, const T* x, int64_t m, int64_t axis, T* out) {
  T s = 0, a = 0, b = 0, c = 0;
#pragma omp simd reduction(+ : s, a, b, c)
  for (int64_t k = 0; k < axis; ++k) {
    s += row[k] * x[k];
    a += row[k] * x[m + k];
    b += row[k] * x[2 * m + k];
    c += row[k] * x[3 * m + k];
  }
  out[0] += s;
  out[m] += a;
  out[2 * m] += b;
  out[3 * m] += c;
}

// body(atom) for every atom.
template <typename Body>
void each_atom(int64_t atoms, const Body& body) {
  at::parallel_for(0, atoms, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

// D = T Tᵀ[:, :axis], into out (n, M·axis).
template <typename T>
void contract(const Environments<T>& environment, int64_t axis, const Matrix<T>& out) {
  each_atom(environment.atoms, [&](int64_t i) {
    product<T, false>(environment.at(i), environment.at(i), environment.width, axis, out.at(i, 0));
  });
}

// How D changes as T changes by u, into out.
template <typename T>
void contract_change(const Environments<T>& environment, const Environments<T>& u, int64_t axis,
                     const Matrix<T>& out) {
  each_atom(environment.atoms, [&](int64_t i) {
    product<T, false>(environment.at(i), u.at(i), environment.width, axis, out.at(i, 0));
    product<T, true>(u.at(i), environment.at(i), environment.width, axis, out.at(i, 0));
  });
}

// Adds to by_environment ∂E/∂T from ∂E/∂D (n, M·axis).
template <typename T>
void pull_back(const Environments<T>& environment, const Matrix<T>& by_descriptor, int64_t axis,
               const Environments<T>& by_environment) {
  const int64_t m = environment.width;
  each_atom(environment.atoms, [&](int64_t i) {
    const T *own = environment.at(i), *by_D = by_descriptor.at(i, 0);
    T* by_T = by_environment.at(i);
    // T stands in D twice: with all its columns on the left, and with `axis` of them on the right.
    for (int64_t j = 0; j < m; ++j) add_dots(by_D + j * axis, own, m, axis, by_T + j);
    multiply_part<T>(matrix(own, 4, m), matrix(by_D, m, axis), matrix(by_T, 4, m).part(0, 4, 0, axis), true);
  });
}

}  // namespace spinpot
