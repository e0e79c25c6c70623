// The formulas of spinpot.models.deepspin.contraction as loops, for the atoms of one element.

#pragma once

#include <vector>

#include "parallel.h"
#include "products.h"

namespace spinpot {

// Environments T (n, 4, M), or derivatives of the same shape.
template <typename T>
struct Environments {
  T* numbers;
  int64_t atoms, width;

  T* at(int64_t i) const { return numbers + i * 4 * width; }
  Matrix<T> rows() const { return matrix(numbers, 4 * atoms, width); }
  // The first component of each atom's T, (n, M).
  Matrix<T> scalars() const { return {numbers, atoms, width, 4 * width, 1}; }
};

// The layout of D = T Tᵀ[:, :axis] of an atom, (M, axis), row-major. The first `symmetric` rows form a symmetric matrix,
// of which only the lower triangle is stored. `symmetric` is axis, or 0 if all of D is stored.
struct DescriptorShape {
  int64_t width, axis, symmetric;

  int64_t triangle() const { return symmetric * (symmetric + 1) / 2; }
  int64_t size() const { return triangle() + (width - symmetric) * axis; }
};

// Fills out with value(i, k) for the stored elements (i, k) of D.
template <typename T, typename Value>
void fill(const DescriptorShape& shape, T* out, const Value& value) {
  for (int64_t i = 0; i < shape.width; ++i) {
#pragma omp simd
    for (int64_t k = 0; k < shape.axis; ++k) out[k] = value(i, k);
    out += i < shape.symmetric ? i + 1 : shape.axis;  // the next row overwrites the numbers beyond the triangle
  }
}

// Σ_c left_ci right_ck, with left and right (4, M).
template <typename T>
T dot(const T* left, int64_t i, const T* right, int64_t k, int64_t m) {
  return left[i] * right[k] + left[m + i] * right[m + k] + left[2 * m + i] * right[2 * m + k] +
         left[3 * m + i] * right[3 * m + k];
}

// out_c += Σ_k row_k x_ck with k < axis, for the four components c. Components are m numbers apart in x and in out.
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

// Calls body(begin, end) for parts of the atoms, on several threads.
template <typename Body>
void each_atoms(int64_t atoms, const Body& body) {
  parallel(atoms, 8, body);
}

// Writes D of each atom to out.
template <typename T>
void contract(const Environments<T>& environment, const DescriptorShape& shape, const Matrix<T>& out) {
  each_atoms(environment.atoms, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const T* own = environment.at(n);
      const int64_t m = shape.width;
      fill(shape, out.row(n), [own, m](int64_t i, int64_t k) { return dot(own, i, own, k, m); });
    }
  });
}

// Writes to out the change of D for a change u of T.
template <typename T>
void contract_change(const Environments<T>& environment, const Environments<T>& u, const DescriptorShape& shape,
                     const Matrix<T>& out) {
  each_atoms(environment.atoms, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const T *own = environment.at(n), *change = u.at(n);
      const int64_t m = shape.width;
      fill(shape, out.row(n), [own, change, m](int64_t i, int64_t k) {
        return dot(own, i, change, k, m) + dot(change, i, own, k, m);
      });
    }
  });
}

// Expands a triangle to the symmetric matrix (n, n), with the diagonal doubled.
template <typename T>
void unfold(const T* triangle, int64_t n, T* square) {
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k <= i; ++k, ++triangle) {
      square[i * n + k] = *triangle;
      square[k * n + i] = i == k ? 2 * *triangle : *triangle;
    }
}

// Adds ∂E/∂T, computed from ∂E/∂D, to by_environment.
template <typename T>
void pull_back(const Environments<T>& environment, const Matrix<T>& by_descriptor, const DescriptorShape& shape,
               const Environments<T>& by_environment) {
  const auto [m, axis, symmetric] = shape;
  each_atoms(environment.atoms, [&, m = m, axis = axis, symmetric = symmetric](int64_t begin, int64_t end) {
    std::vector<T> square(symmetric * symmetric);
    for (int64_t n = begin; n < end; ++n) {
      const T *own = environment.at(n), *by_D = by_descriptor.row(n), *rest = by_D + shape.triangle();
      T* by_T = by_environment.at(n);
      unfold(by_D, symmetric, square.data());
      for (int64_t i = 0; i < symmetric; ++i) add_dots(&square[i * symmetric], own, m, axis, by_T + i);
      // The other rows of D are products of two parts of T: columns from `symmetric` on, and the first `axis` columns.
      for (int64_t i = symmetric; i < m; ++i) add_dots(rest + (i - symmetric) * axis, own, m, axis, by_T + i);
      multiply<T>(matrix(own, 4, m).part(0, 4, symmetric, m - symmetric), matrix(rest, m - symmetric, axis),
                       matrix(by_T, 4, m).part(0, 4, 0, axis), true);
    }
  });
}

}  // namespace spinpot
