// Numbers of tensors.

#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/ArrayRef.h>

#include <algorithm>
#include <type_traits>

namespace spinpot {

using at::Tensor;

inline void check(const Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "expected contiguous tensors on the CPU");
}

template <typename T>
const T* numbers(const Tensor& tensor) {
  return tensor.const_data_ptr<T>();
}

inline const int64_t* indices(const Tensor& tensor) { return tensor.const_data_ptr<int64_t>(); }

// That indices are none below 0 and none from `count` on.
inline void check_below(const Tensor& numbers, int64_t count, const char* what) {
  const int64_t* first = indices(numbers);
  const bool fit = std::all_of(first, first + numbers.numel(), [&](int64_t n) { return 0 <= n && n < count; });
  TORCH_CHECK(fit, "expected ", what, " from 0 to ", count - 1);
}

// Element (i, j) is numbers[i·down + j·along].
template <typename T>
struct Matrix {
  T* numbers;
  int64_t rows, columns, down, along;

  T* at(int64_t i, int64_t j) const { return numbers + i * down + j * along; }
  Matrix transposed() const { return {numbers, columns, rows, along, down}; }
  Matrix part(int64_t i, int64_t n_rows, int64_t j, int64_t n_columns) const {
    return {at(i, j), n_rows, n_columns, down, along};
  }
  Matrix of_rows(int64_t i, int64_t n_rows) const { return part(i, n_rows, 0, columns); }
  operator Matrix<const T>() const { return {numbers, rows, columns, down, along}; }
};

// A matrix that is only read, as an argument from which T need not be found out.
template <typename T>
using In = Matrix<const std::type_identity_t<T>>;

// Rows that lie one behind the other.
template <typename T>
Matrix<T> matrix(T* numbers, int64_t rows, int64_t columns) {
  return {numbers, rows, columns, columns, 1};
}

template <typename T>
Matrix<const T> matrix(const Tensor& tensor) {
  return {numbers<T>(tensor), tensor.size(0), tensor.size(1), tensor.stride(0), tensor.stride(1)};
}

template <typename T>
Matrix<T> writable(const Tensor& tensor) {
  return {tensor.data_ptr<T>(), tensor.size(0), tensor.size(1), tensor.stride(0), tensor.stride(1)};
}

// Two things of n rows each that lie one above the other, (2n, columns).
template <typename T>
Matrix<T> upper(const Tensor& both) {
  return writable<T>(both).of_rows(0, both.size(0) / 2);
}

template <typename T>
Matrix<T> lower(const Tensor& both) {
  return writable<T>(both).of_rows(both.size(0) / 2, both.size(0) / 2);
}

// The matrix as a tensor, without a copy.
template <typename T>
Tensor tensor(const Matrix<T>& matrix) {
  using Number = std::remove_const_t<T>;
  return at::from_blob(const_cast<Number*>(matrix.numbers), {matrix.rows, matrix.columns},
                       {matrix.down, matrix.along}, c10::CppTypeToScalarType<Number>::value);
}

}  // namespace spinpot
