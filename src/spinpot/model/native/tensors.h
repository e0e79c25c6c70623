// Reading the numbers of tensors.

#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <c10/util/ArrayRef.h>

namespace spinpot {

using at::Tensor;

inline void check(at::TensorList tensors) {
  for (const auto& tensor : tensors)
    TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "expected contiguous tensors on the CPU");
}

template <typename T>
const T* numbers(const Tensor& tensor) {
  return tensor.const_data_ptr<T>();
}

inline const int64_t* indices(const Tensor& tensor) { return tensor.const_data_ptr<int64_t>(); }

}  // namespace spinpot
