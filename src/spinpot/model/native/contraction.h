// spinpot.model.contraction as loops, for the atoms of one element.

#pragma once

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>

#include "tensors.h"

namespace spinpot {

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

// Σ_k row_k x_k; adds value·row to out.
template <typename T>
T dot_and_add(const T* row, const T* x, T value, int64_t axis, T* out) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t k = 0; k < axis; ++k) {
    sum += row[k] * x[k];
    out[k] += row[k] * value;
  }
  return sum;
}

// body(atom) for every atom.
template <typename Body>
void each_atom(int64_t atoms, const Body& body) {
  at::parallel_for(0, atoms, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

// D = T Tᵀ[:, :axis] of environments (n, 4, M), into out (n, M·axis).
inline void contract(const Tensor& environment, int64_t axis, const Tensor& out) {
  const int64_t m = environment.size(2);
  AT_DISPATCH_FLOATING_TYPES(environment.scalar_type(), "contract", [&] {
    const auto* T = numbers<scalar_t>(environment);
    auto* D = out.data_ptr<scalar_t>();
    each_atom(environment.size(0), [&](int64_t i) {
      product<scalar_t, false>(T + i * 4 * m, T + i * 4 * m, m, axis, D + i * m * axis);
    });
  });
}

// How D changes as T changes by u, into out.
inline void contract_change(const Tensor& environment, const Tensor& u, int64_t axis, const Tensor& out) {
  const int64_t m = environment.size(2);
  AT_DISPATCH_FLOATING_TYPES(environment.scalar_type(), "contract_change", [&] {
    const auto *T = numbers<scalar_t>(environment), *change = numbers<scalar_t>(u);
    auto* D = out.data_ptr<scalar_t>();
    each_atom(environment.size(0), [&](int64_t i) {
      const int64_t at = i * 4 * m;
      product<scalar_t, false>(T + at, change + at, m, axis, D + i * m * axis);
      product<scalar_t, true>(change + at, T + at, m, axis, D + i * m * axis);
    });
  });
}

// Adds to by_environment (n, 4, M) ∂E/∂T from ∂E/∂D (n, M·axis).
inline void pull_back(const Tensor& environment, const Tensor& by_descriptor, int64_t axis,
                      const Tensor& by_environment) {
  const int64_t m = environment.size(2);
  AT_DISPATCH_FLOATING_TYPES(environment.scalar_type(), "pull_back", [&] {
    const auto *T = numbers<scalar_t>(environment), *g = numbers<scalar_t>(by_descriptor);
    auto* out = by_environment.data_ptr<scalar_t>();
    each_atom(environment.size(0), [&](int64_t i) {
      const scalar_t *own = T + i * 4 * m, *by_D = g + i * m * axis;
      scalar_t* by_T = out + i * 4 * m;
      for (int64_t j = 0; j < m; ++j)
        for (int64_t c = 0; c < 4; ++c) {
          const auto sum = dot_and_add(by_D + j * axis, own + c * m, own[c * m + j], axis, by_T + c * m);
          by_T[c * m + j] += sum;
        }
    });
  });
}

}  // namespace spinpot
