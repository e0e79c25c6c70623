// Whether numbers are finite: spinpot.training.step.

#include <ATen/Dispatch.h>
#include <ATen/ops/scalar_tensor.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>

#include "tensors.h"

namespace spinpot {

// A bool, for tensors in any layout.
Tensor all_finite(at::TensorList tensors) {
  const bool all = std::all_of(tensors.begin(), tensors.end(), [](const Tensor& tensor) {
    const Tensor dense = tensor.contiguous();
    check(dense);
    return AT_DISPATCH_FLOATING_TYPES(dense.scalar_type(), "all_finite", [&] {
      const auto* first = numbers<scalar_t>(dense);
      return std::all_of(first, first + dense.numel(), [](scalar_t number) { return std::isfinite(number); });
    });
  });
  return at::scalar_tensor(all, at::kBool);
}

}  // namespace spinpot

TORCH_LIBRARY_FRAGMENT(spinpot, library) { library.def("all_finite(Tensor[] tensors) -> Tensor", &spinpot::all_finite); }
