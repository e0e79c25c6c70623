// Matrix products. BLAS libraries first copy both operands into blocks, which pays off only if each number is used many
// times. Most products here have a short side, so the operands are read in place.

#pragma once

#include "matrix.h"
#include "vectors.h"

namespace spinpot {

// Number of columns of a result that the registers hold. Results whose width is a multiple of it are computed fastest.
template <typename T>
constexpr int64_t WIDTH = 2 * Lanes<T>::count;

// out = left · right, or out += left · right if `add`. In each matrix the numbers of a row or of a column are adjacent.
template <typename T>
void multiply(const In<T>& left, const In<T>& right, const Matrix<T>& out, bool add = false);

extern template void multiply<double>(const In<double>&, const In<double>&, const Matrix<double>&, bool);
extern template void multiply<float>(const In<float>&, const In<float>&, const Matrix<float>&, bool);

}  // namespace spinpot
