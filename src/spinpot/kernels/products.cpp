#include "products.h"

#include <algorithm>
#include <vector>

#include "parallel.h"

namespace spinpot {

namespace {

// The registers hold ROWS rows of a result, two vectors wide. The caches hold DEPTH terms of HEIGHT rows of the operands.
constexpr int64_t ROWS = 6, DEPTH = 256, HEIGHT = 48;

// Prefetches the next operands during the current tile. Memory is slower than the arithmetic, so requests are early and
// evenly spaced: LINES cache lines every STEPS terms, which is as fast as HEIGHT rows use them.
template <typename T>
class Prefetch {
 public:
  static constexpr int64_t STEPS = 32, LINES = 8;

  explicit Prefetch(const In<T>& rows) : rows_(rows) {}

  void ask() {
    for (int64_t n = 0; n < LINES && rows_.rows > 0; ++n) {
      __builtin_prefetch(rows_.at(0, column_));
      column_ += LINE_BYTES / sizeof(T);
      if (column_ >= rows_.columns) {
        column_ = 0;
        rows_ = rows_.of_rows(1, rows_.rows - 1);
      }
    }
  }

 private:
  In<T> rows_;
  int64_t column_ = 0;
};

// out (rows, WIDTH) = Σ_k left(·, k) right(k, ·) for k < depth, or += if `add`. next, out_next: distances between rows of
// `right` and of `out`.
template <typename T, int64_t rows>
void tile(const T* left, int64_t down, int64_t along, const T* right, int64_t next, int64_t depth, T* out,
          int64_t out_next, bool add, Prefetch<T>& soon) {
  using Vector = typename Lanes<T>::Vector;
  constexpr int64_t n = Lanes<T>::count;
  Vector total[rows][2];
  for (int64_t r = 0; r < rows; ++r) {
    total[r][0] = total[r][1] = Vector{};
    __builtin_prefetch(out + r * out_next, 1);
    __builtin_prefetch(out + r * out_next + WIDTH<T> - 1, 1);
  }
  for (int64_t k = 0; k < depth;) {
    soon.ask();
    for (const int64_t end = std::min(k + Prefetch<T>::STEPS, depth); k < end; ++k, left += along, right += next) {
      const Vector a = *reinterpret_cast<const Vector*>(right), b = *reinterpret_cast<const Vector*>(right + n);
#pragma GCC unroll 6
      for (int64_t r = 0; r < rows; ++r) {
        total[r][0] += left[r * down] * a;
        total[r][1] += left[r * down] * b;
      }
    }
  }
#pragma GCC unroll 6
  for (int64_t r = 0; r < rows; ++r, out += out_next) {
    Vector &first = *reinterpret_cast<Vector*>(out), &second = *reinterpret_cast<Vector*>(out + n);
    first = add ? first + total[r][0] : total[r][0];
    second = add ? second + total[r][1] : total[r][1];
  }
}

// Calls `tile` for the number of rows of left, which is at most ROWS.
template <typename T, int64_t rows = ROWS>
void tile_of(const In<T>& left, const T* right, int64_t next, const Matrix<T>& out, bool add, Prefetch<T>& soon) {
  if constexpr (rows > 1)
    if (left.rows < rows) return tile_of<T, rows - 1>(left, right, next, out, add, soon);
  tile<T, rows>(left.numbers, left.down, left.along, right, next, left.columns, out.numbers, out.down, add, soon);
}

// out = sums (rows, WIDTH), or += if `add`. out may have fewer columns, or columns that are not adjacent.
template <typename T>
void put(const T* sums, const Matrix<T>& out, bool add) {
  for (int64_t i = 0; i < out.rows; ++i, sums += WIDTH<T>)
    for (int64_t j = 0; j < out.columns; ++j) *out.at(i, j) = add ? *out.at(i, j) + sums[j] : sums[j];
}

// Copies `left` so that ROWS rows are adjacent, which fits into the caches. The numbers of a column of left are adjacent.
template <typename T>
void pack(const In<T>& left, T* packed) {
  const int64_t whole = left.rows / ROWS * ROWS;
  for (int64_t k = 0; k < left.columns; ++k, packed += ROWS) {
    T* to = packed;
    const T* from = left.at(0, k);
    for (int64_t i = 0; i < whole; i += ROWS, to += ROWS * left.columns) std::copy_n(from + i, ROWS, to);
    for (int64_t i = whole; i < left.rows; ++i) *to++ = from[i];
  }
}

// The operands to prefetch during terms [k, k + DEPTH) of rows [top, top + HEIGHT) and the panel of columns from j on: this
// panel's share of the next HEIGHT rows of left, or the next panel of right after the last rows. The result has its rows'
// numbers adjacent.
template <typename T>
In<T> needed_next(const In<T>& left, const In<T>& right, int64_t top, int64_t k, int64_t j) {
  const int64_t below = std::min(HEIGHT, left.rows - top - HEIGHT), columns = right.columns;
  if (below > 0) {
    const auto block = left.part(top + HEIGHT, below, k, std::min(DEPTH, left.columns - k));
    const auto next = left.along == 1 ? block : block.transposed();
    const int64_t begin = next.rows * j / columns, end = next.rows * std::min(j + WIDTH<T>, columns) / columns;
    return next.of_rows(begin, end - begin);
  }
  const bool last = j + WIDTH<T> >= columns;
  const int64_t term = last ? std::min(k + DEPTH, right.rows) : k, column = last ? 0 : j + WIDTH<T>;
  return right.part(term, std::min(DEPTH, right.rows - term), column, std::min(WIDTH<T>, columns - column));
}

// out = left · right, or out += left · right if `add`, on one thread. The numbers of each row of right are adjacent; left
// has adjacent rows or columns.
template <typename T>
void multiply_part(const In<T>& left, const In<T>& right, const Matrix<T>& out, bool add) {
  T sums[ROWS * WIDTH<T>], edge[DEPTH * WIDTH<T>], packed[HEIGHT * DEPTH];
  for (int64_t k = 0; k == 0 || k < left.columns; k += DEPTH) {  // once for a depth of 0 too: out = 0
    const int64_t depth = std::min(DEPTH, left.columns - k);
    for (int64_t top = 0; top < out.rows; top += HEIGHT) {
      const auto block = left.part(top, std::min(HEIGHT, out.rows - top), k, depth);
      if (left.along != 1) pack(block, packed);
      for (int64_t j = 0; j < out.columns; j += WIDTH<T>) {
        const int64_t columns = std::min(WIDTH<T>, out.columns - j);
        Prefetch<T> soon(needed_next<T>(left, right, top, k, j));
        const T* panel = right.at(k, j);
        int64_t next = right.down;
        if (columns < WIDTH<T>) {  // whole vectors would reach past the end
          std::fill_n(edge, depth * WIDTH<T>, T(0));
          for (int64_t m = 0; m < depth; ++m) std::copy_n(right.at(k + m, j), columns, edge + m * WIDTH<T>);
          panel = edge;
          next = WIDTH<T>;
        }
        for (int64_t i = 0; i < block.rows; i += ROWS) {
          const int64_t rows = std::min(ROWS, block.rows - i);
          const In<T> own = left.along == 1 ? block.of_rows(i, rows) : In<T>{packed + i * depth, rows, depth, 1, ROWS};
          const Matrix<T> to = out.part(top + i, rows, j, columns);
          const bool more = add || k > 0;
          if (to.along == 1 && columns == WIDTH<T>) {
            tile_of<T>(own, panel, next, to, more, soon);
          } else {
            tile_of<T>(own, panel, next, matrix(sums, rows, WIDTH<T>), false, soon);
            put(sums, to, more);
          }
        }
      }
    }
  }
}

}  // namespace

template <typename T>
void multiply(const In<T>& left, const In<T>& right, const Matrix<T>& out, bool add) {
  if (right.along != 1 && right.columns > 1) {  // outᵀ = rightᵀ leftᵀ, with leftᵀ copied so that its rows are contiguous
    thread_local std::vector<T> kept;
    if (int64_t(kept.size()) < left.rows * left.columns) kept.resize(left.rows * left.columns);
    T* copy = kept.data();
    for (int64_t k = 0; k < left.columns; ++k)
      for (int64_t i = 0; i < left.rows; ++i) copy[k * left.rows + i] = *left.at(i, k);
    const Matrix<const T> turned{copy, left.columns, left.rows, left.rows, 1};
    return multiply<T>(right.transposed(), turned, out.transposed(), add);
  }
  if (out.rows > out.columns)
    parallel(out.rows, HEIGHT, [&](int64_t begin, int64_t end) {
      multiply_part(left.part(begin, end - begin, 0, left.columns), right,
                    out.part(begin, end - begin, 0, out.columns), add);
    });
  else
    parallel(out.columns, 3 * WIDTH<T>, [&](int64_t begin, int64_t end) {
      multiply_part(left, right.part(0, right.rows, begin, end - begin), out.part(0, out.rows, begin, end - begin),
                    add);
    });
}

template void multiply<double>(const In<double>&, const In<double>&, const Matrix<double>&, bool);
template void multiply<float>(const In<float>&, const In<float>&, const Matrix<float>&, bool);

}  // namespace spinpot
