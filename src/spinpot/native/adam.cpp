// A step of Adam for all parameters in one call, by the formulas of torch.optim.Adam.

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <cmath>

#include "tensors.h"

namespace spinpot {

// Changes p and the means m of its gradient g and v of g² in place. rate1, rate2: 1 − β₁, 1 − β₂, which float32 would
// round; size: the learning rate over 1 − β₁ᵗ; unbias: 1/√(1 − β₂ᵗ).
template <typename T>
void adam_part(T* p, const T* g, T* m, T* v, int64_t n, T rate1, T rate2, T size, T unbias, T eps) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    m[i] += rate1 * (g[i] - m[i]);
    v[i] += rate2 * (g[i] * g[i] - v[i]);
    p[i] -= size * m[i] / (std::sqrt(v[i]) * unbias + eps);
  }
}

// Whether two tensors have their numbers in one order.
inline bool like(const Tensor& one, const Tensor& other) {
  return one.scalar_type() == other.scalar_type() && other.device().is_cpu() && one.sizes() == other.sizes() &&
         one.strides() == other.strides();
}

// Parameters, their gradients, both means and the numbers t of their steps, float32, which become one more.
void adam_step(at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares,
               at::TensorList steps, double lr, double beta1, double beta2, double eps) {
  for (size_t k = 0; k < parameters.size(); ++k) {
    const Tensor &p = parameters[k], &m = means[k], &v = squares[k];
    const Tensor g = like(p, gradients[k]) ? gradients[k] : at::empty_like(p).copy_(gradients[k]);
    TORCH_CHECK(p.is_non_overlapping_and_dense() && like(p, m) && like(p, v),
                "expected a parameter and its means in one layout");
    check(steps[k]);
    const double t = ++*steps[k].data_ptr<float>();
    const double size = lr / (1 - std::pow(beta1, t)), unbias = 1 / std::sqrt(1 - std::pow(beta2, t));
    AT_DISPATCH_FLOATING_TYPES(p.scalar_type(), "adam_step", [&] {
      at::parallel_for(0, p.numel(), 16384, [&](int64_t begin, int64_t end) {
        adam_part<scalar_t>(p.data_ptr<scalar_t>() + begin, g.const_data_ptr<scalar_t>() + begin,
                            m.data_ptr<scalar_t>() + begin, v.data_ptr<scalar_t>() + begin, end - begin,
                            1 - beta1, 1 - beta2, size, unbias, eps);
      });
    });
    for (const auto& changed : {p, m, v, steps[k]}) changed.unsafeGetTensorImpl()->bump_version();
  }
}

}  // namespace spinpot

TORCH_LIBRARY_FRAGMENT(spinpot, library) {
  library.def(
      "adam_step(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] means, Tensor(c!)[] squares, "
      "Tensor(d!)[] steps, float lr, float beta1, float beta2, float eps) -> ()",
      &spinpot::adam_step);
}
