// Matrices whose numbers belong to other objects.

#pragma once

#include <cstdint>

#include "memory.h"

namespace spinpot {

// Element (i, j) is numbers[i·down + j·along].
template <typename T>
struct Matrix {
  T* numbers;
  int64_t rows, columns, down, along;

  T* at(int64_t i, int64_t j) const { return numbers + i * down + j * along; }
  T* row(int64_t i) const { return numbers + i * down; }
  Matrix transposed() const { return {numbers, columns, rows, along, down}; }
  Matrix part(int64_t i, int64_t n_rows, int64_t j, int64_t n_columns) const {
    return {at(i, j), n_rows, n_columns, down, along};
  }
  Matrix of_rows(int64_t i, int64_t n_rows) const { return part(i, n_rows, 0, columns); }
  // The upper and the lower half of a matrix.
  Matrix upper() const { return of_rows(0, rows / 2); }
  Matrix lower() const { return of_rows(rows / 2, rows / 2); }
  operator Matrix<const T>() const { return {numbers, rows, columns, down, along}; }
};

template <typename T>
struct Same {
  using Type = T;
};

// A read-only matrix as an argument. The compiler does not deduce T from it, so that Matrix<T> converts.
template <typename T>
using In = Matrix<const typename Same<T>::Type>;

// A matrix with contiguous rows.
template <typename T>
Matrix<T> matrix(T* numbers, int64_t rows, int64_t columns) {
  return {numbers, rows, columns, columns, 1};
}

// A matrix in a workspace, not initialised.
template <typename T>
Matrix<T> matrix(Workspace& memory, int64_t rows, int64_t columns) {
  return matrix(memory.numbers<T>(rows * columns), rows, columns);
}

}  // namespace spinpot
