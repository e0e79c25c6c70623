// Matrix products. BLAS libraries first copy both operands into blocks, which pays only if each number is used many
// times. Here most products have a short side, so that operands are read in place.

#pragma once

#include "matrix.h"
#include "vectors.h"

namespace spinpot {

// Columns of a result that the registers hold: multiples of them are computed the fastest.
template <typename T>
constexpr int64_t WIDTH = 2 * Lanes<T>::count;

// out = left · right, or out += left · right with `add`, of matrices that have rows or columns side by side.
template <typename T>
void multiply(const In<T>& left, const In<T>& right, const Matrix<T>& out, bool add = false);

extern template void multiply<double>(const In<double>&, const In<double>&, const Matrix<double>&, bool);
extern template void multiply<float>(const In<float>&, const In<float>&, const Matrix<float>&, bool);

}  // namespace spinpot
