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
void adam_part(T* p, const T* g, T* m, T* v, int64_t n, T beta1, T beta2, T rate1, T rate2, T size, T unbias, T eps) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    m[i] = beta1 * m[i] + rate1 * g[i];
    v[i] = beta2 * v[i] + rate2 * (g[i] * g[i]);
    p[i] -= size * m[i] / (std::sqrt(v[i]) * unbias + eps);
  }
}

// A tensor with its numbers in the order of another's: itself, or a copy.
inline Tensor in_order_of(const Tensor& other, const Tensor& tensor) {
  TORCH_CHECK(tensor.scalar_type() == other.scalar_type() && tensor.sizes() == other.sizes() && tensor.device().is_cpu(),
              "expected gradients and means like their parameters, on the CPU");
  return tensor.strides() == other.strides() ? tensor : at::empty_like(other).copy_(tensor);
}

// Give a tensor its changed numbers, which a copy may have; autograd sees the change.
inline void put(const Tensor& changed, const Tensor& tensor) {
  if (changed.is_same(tensor)) {
    tensor.unsafeGetTensorImpl()->bump_version();
  } else {
    tensor.copy_(changed);
  }
}

// Parameters, their gradients, both means and the numbers t of their steps, float32, which become one more.
void adam_step(at::TensorList parameters, at::TensorList gradients, at::TensorList means, at::TensorList squares,
               at::TensorList steps, double lr, double beta1, double beta2, double eps) {
  for (const auto& others : {gradients, means, squares, steps})
    TORCH_CHECK(others.size() == parameters.size(), "expected as many of all as parameters");
  for (size_t k = 0; k < parameters.size(); ++k) {
    const Tensor p = parameters[k].is_non_overlapping_and_dense() ? parameters[k] : parameters[k].contiguous();
    const Tensor g = in_order_of(p, gradients[k]), m = in_order_of(p, means[k]), v = in_order_of(p, squares[k]);
    check(steps[k]);
    TORCH_CHECK(steps[k].numel() == 1, "expected one number of steps");
    const double t = ++*steps[k].data_ptr<float>();
    const double size = lr / (1 - std::pow(beta1, t)), unbias = 1 / std::sqrt(1 - std::pow(beta2, t));
    AT_DISPATCH_FLOATING_TYPES(p.scalar_type(), "adam_step", [&] {
      at::parallel_for(0, p.numel(), 16384, [&](int64_t begin, int64_t end) {
        adam_part<scalar_t>(p.data_ptr<scalar_t>() + begin, g.const_data_ptr<scalar_t>() + begin,
                            m.data_ptr<scalar_t>() + begin, v.data_ptr<scalar_t>() + begin, end - begin,
                            beta1, beta2, 1 - beta1, 1 - beta2, size, unbias, eps);
      });
    });
    put(p, parameters[k]);
    put(m, means[k]);
    put(v, squares[k]);
    steps[k].unsafeGetTensorImpl()->bump_version();
  }
}

}  // namespace spinpot

TORCH_LIBRARY_FRAGMENT(spinpot, library) {
  library.def(
      "adam_step(Tensor(a!)[] parameters, Tensor[] gradients, Tensor(b!)[] means, Tensor(c!)[] squares, "
      "Tensor(d!)[] steps, float lr, float beta1, float beta2, float eps) -> ()",
      &spinpot::adam_step);
}
