// spinpot.model.contraction as loops: the same formulas as there.

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>
#include <torch/library.h>

#include <optional>

namespace {

using at::Tensor;

constexpr int64_t GRAIN = 8;  // atoms

template <typename T>
const T* numbers(const Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "expected contiguous tensors on the CPU");
  return tensor.const_data_ptr<T>();
}

// left (A, 4, M), right (A, 4, M) → Σ_c left_cm right_ck, k < axis, (A, M·axis).
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

// D = T Tᵀ[:, :axis]; with u in place of one T, and then of the other, what changes D.
Tensor contract(const Tensor& environment, const std::optional<Tensor>& u, int64_t axis) {
  const int64_t atoms = environment.size(0), m = environment.size(2);
  Tensor result = at::empty({atoms, m * axis}, environment.options());
  AT_DISPATCH_FLOATING_TYPES(environment.scalar_type(), "contract", [&] {
    using S = scalar_t;
    const S *T = numbers<S>(environment), *changed = u ? numbers<S>(*u) : nullptr;
    S* out = result.data_ptr<S>();
    at::parallel_for(0, atoms, GRAIN, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const S *own = T + i * 4 * m, *other = changed ? changed + i * 4 * m : own;
        product<S, false>(own, other, m, axis, out + i * m * axis);
        if (changed) product<S, true>(other, own, m, axis, out + i * m * axis);
      }
    });
  });
  return result;
}

// ∂E/∂T (A, 4, M) of ∂E/∂D (A, M·axis).
Tensor pull_back(const Tensor& environment, const Tensor& by_descriptor, int64_t axis) {
  const int64_t atoms = environment.size(0), m = environment.size(2);
  Tensor result = at::zeros_like(environment);
  AT_DISPATCH_FLOATING_TYPES(environment.scalar_type(), "pull_back", [&] {
    using S = scalar_t;
    const S *T = numbers<S>(environment), *g = numbers<S>(by_descriptor);
    S* out = result.data_ptr<S>();
    at::parallel_for(0, atoms, GRAIN, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const S *by_D = g + i * m * axis, *own = T + i * 4 * m;
        S* by_T = out + i * 4 * m;
        for (int64_t j = 0; j < m; ++j)
          for (int c = 0; c < 4; ++c) {
            const S* row = by_D + j * axis;
            const S value = own[c * m + j];
            const S sum = dot_and_add(row, own + c * m, value, axis, by_T + c * m);
            by_T[c * m + j] += sum;
          }
      }
    });
  });
  return result;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(spinpot, library) {
  library.def("contract", &contract);
  library.def("pull_back", &pull_back);
}
