// The sums over pairs of spinpot.models.deepspin.pair_map as loops: the same formulas, without intermediate tensors.
// Pairs are sorted by centre, and each thread computes the sums of its own centres.

#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "blocks.h"
#include "elementary.h"
#include "guard.h"
#include "interface.h"
#include "matrix.h"
#include "vectors.h"

namespace spinpot {

constexpr int64_t STENCIL = 8;

// One number for each node of a stencil, as vectors of the processor's width.
template <typename T>
struct Stencil {
  static constexpr int64_t bytes = std::min<int64_t>(BYTES, STENCIL * sizeof(T)), lanes = bytes / sizeof(T);
  typedef T Vector __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
  Vector parts[STENCIL / lanes];

  // Applies f to each part and the same part of the other stencil.
  template <typename Function>
  Stencil each(const Stencil& other, const Function& f) const {
    Stencil result;
#pragma GCC unroll 8
    for (int64_t m = 0; m < STENCIL / lanes; ++m) result.parts[m] = f(parts[m], other.parts[m]);
    return result;
  }

  Stencil operator+(const Stencil& other) const {
    return each(other, [](const Vector& a, const Vector& b) { return a + b; });
  }
  Stencil operator*(const Stencil& other) const {
    return each(other, [](const Vector& a, const Vector& b) { return a * b; });
  }
  Stencil operator*(T factor) const {
    return each(*this, [factor](const Vector& a, const Vector&) { return a * factor; });
  }
};

template <typename T>
Stencil<T> load(const T* numbers) {
  Stencil<T> result;
#pragma GCC unroll 8
  for (auto& part : result.parts) {
    part = *reinterpret_cast<const typename Stencil<T>::Vector*>(numbers);
    numbers += Stencil<T>::lanes;
  }
  return result;
}

// The numbers of a stencil as an array.
template <typename T>
struct Nodes {
  T at[STENCIL];

  explicit Nodes(const Stencil<T>& stencil) {
    T* to = at;
#pragma GCC unroll 8
    for (const auto& part : stencil.parts) {
      *reinterpret_cast<typename Stencil<T>::Vector*>(to) = part;
      to += Stencil<T>::lanes;
    }
  }
};

// One number for each component of R~, as a vector.
template <typename T>
struct Components {
  typedef T Vector __attribute__((vector_size(4 * sizeof(T)), aligned(alignof(T)), may_alias));
};
template <typename T>
using Row = typename Components<T>::Vector;

// The columns of B that neighbours of one type use. first: index of the first among all columns; count: how many; place:
// index of the first among the columns kept here.
struct Reached {
  int64_t first = std::numeric_limits<int64_t>::max(), count = 0, place = 0;
};

// Data of the pairs of some centres. x: position of s~ within its stencil, the variable of the polynomials φ; per_r: 1/r;
// per_s: dx/ds~.
template <typename T>
struct Rows {
  T *s;            // the first component of R~
  T *t, *ds, *dt;  // as in spinpot.models.deepspin.environment.Rows
  T *per_r, *x, *per_s;
  int64_t* column;  // first column of B of the stencil

  Rows(Workspace& memory, int64_t pairs) {
    for (T** array : {&s, &t, &ds, &dt, &per_r, &x, &per_s}) *array = memory.numbers<T>(pairs);
    column = memory.numbers<int64_t>(pairs);
  }
};

// φ and dφ/dx at the nodes of a stencil. polynomials (STENCIL, STENCIL): coefficients of φ, one row for each power of x.
template <typename T>
struct Polynomials {
  Stencil<T> value, slope = {};

  Polynomials(const T* polynomials, T x) : value(load(polynomials + (STENCIL - 1) * STENCIL)) {
    for (int64_t n = STENCIL - 1; n-- > 0;) {  // Horner's rule
      slope = slope * x + value;
      value = value * x + load(polynomials + n * STENCIL);
    }
  }
};

// B of n atoms, (columns, 4 n) with the four components of an atom adjacent; and the derivatives of B with respect to the
// pair vectors, as a linear map and its transpose. Nodes that no pair uses have no column.
template <typename T>
class PairMap {
 public:
  // The caller has checked `in`, and keeps it and the atoms. memory: holds the arrays of this object.
  PairMap(const spinpot_deepspin& in, const Centres& centres, Workspace& memory)
      : in_(in),
        centres_(centres),
        vector_(static_cast<const T*>(in.vector)),
        spin_(static_cast<const T*>(in.spin)),
        eta_(static_cast<const T*>(in.eta)),
        polynomials_(static_cast<const T*>(in.polynomials)),
        offset_(offsets(memory)),
        rows_(memory, offset_[centres.count]),
        reached_(2 * in.types) {
    for (int c = 0; c < 4; ++c) {
      mean_[c] = static_cast<const T*>(in.davg)[4 * centres.type + c];
      per_deviation_[c] = 1 / static_cast<const T*>(in.dstd)[4 * centres.type + c];
    }
    each_atom([&](int64_t n, int64_t i, int64_t) { make_rows(n, i); });
    settle_columns();
    sums_ = sums(memory);
    std::fill_n(sums_.numbers, sums_.rows * sums_.down, T(0));
    each_atom([&](int64_t n, int64_t i, int64_t) {
      each_pair(n, i, [&](int64_t p, int64_t k) {
        const Nodes<T> value(Polynomials<T>(polynomials_, rows_.x[k]).value);
        Row<T> row;
        this->row(p, k, row);
        T* own = sums_.at(rows_.column[k], 4 * n);
#pragma GCC unroll 8
        for (int64_t m = 0; m < STENCIL; ++m, own += sums_.down) at(own) += value.at[m] * row;
      });
    });
  }

  // B; and an array of its shape, not initialised.
  const Matrix<T>& sums() const { return sums_; }
  Matrix<T> sums(Workspace& memory) const {
    // Each row takes an odd number of cache lines, so that neighbouring nodes map to different cache sets.
    constexpr int64_t line = LINE_BYTES / sizeof(T);
    const int64_t next = ((4 * centres_.count + line - 1) / line | 1) * line;
    return {memory.numbers<T>(columns_ * next), columns_, 4 * centres_.count, next, 1};
  }

  // Copies the rows of the nodes that are used here from at_nodes, which has all nodes of the centres' element.
  Matrix<T> reached(Workspace& memory, const Matrix<T>& at_nodes) const {
    const auto found = matrix<T>(memory, columns_, at_nodes.columns);
    each_reached(found, at_nodes, [](T* own, T* all, int64_t count) { std::copy_n(all, count, own); });
    return found;
  }

  // Adds rows of the nodes that are used here to at_nodes, which has all nodes.
  void add_reached(const Matrix<T>& rows, const Matrix<T>& at_nodes) const {
    each_reached(rows, at_nodes, [](T* own, T* all, int64_t count) {
      for (int64_t n = 0; n < count; ++n) all[n] += own[n];
    });
  }

  // Adds force (A, 3), magnetic force (A, 3) and virial (F, 3, 3), computed from ∂E/∂B. Each thread adds to its own sums,
  // since centres of several threads may share a neighbour.
  void add_derivatives(const Matrix<T>& by_sums, const Forces<T>* of_threads) const {
    each_atom([&](int64_t n, int64_t i, int64_t thread) {
      const auto [force, force_mag, virials] = of_threads[thread];
      T own[3] = {}, virial[9] = {};
      each_pair(n, i, [&, force = force, force_mag = force_mag](int64_t p, int64_t k) {
        const int64_t j = in_.pair_neighbour[p];
        const T scale = eta_[in_.pair_type[p]];
        T g[3], x[3];
        pull_back(p, k, by_sums.at(rows_.column[k], 4 * n), g);
        between(p, x);
        for (int l = 0; l < 3; ++l) {
          own[l] += g[l];
          force[3 * j + l] -= g[l];
          force_mag[3 * j + l] -= scale * g[l];
          for (int m = 0; m < 3; ++m) virial[3 * l + m] -= g[l] * x[m];
        }
      });
      for (int l = 0; l < 3; ++l) force[3 * i + l] += own[l];
      for (int l = 0; l < 9; ++l) virials[9 * in_.frame[i] + l] += virial[l];
    });
  }

  // The transpose of add_derivatives: writes to `out` the change of B for given weights of force, magnetic force and
  // virial.
  void transposed(const T* force, const T* force_mag, const T* virial, const Matrix<T>& out) const {
    std::fill_n(out.numbers, out.rows * out.down, T(0));
    each_atom([&](int64_t n, int64_t i, int64_t) {
      const T* strain = virial + 9 * in_.frame[i];
      each_pair(n, i, [&](int64_t p, int64_t k) {
        const int64_t j = in_.pair_neighbour[p];
        const T scale = eta_[in_.pair_type[p]];
        T g[3], x[3];
        between(p, x);
        for (int l = 0; l < 3; ++l)
          g[l] = force[3 * i + l] - force[3 * j + l] - scale * force_mag[3 * j + l] - strain[3 * l] * x[0] -
                 strain[3 * l + 1] * x[1] - strain[3 * l + 2] * x[2];
        push_forward(p, k, g, out.at(rows_.column[k], 4 * n));
      });
    });
  }

 private:
  static Row<T>& at(T* numbers) { return *reinterpret_cast<Row<T>*>(numbers); }
  static const Row<T>& at(const T* numbers) { return *reinterpret_cast<const Row<T>*>(numbers); }

  // Finds the columns that the pairs use, and numbers them from 0.
  void settle_columns() {
    const auto each = [&](const auto& body) {
      for (int64_t n = 0; n < centres_.count; ++n)
        each_pair(n, centres_.atoms[n], [&](int64_t p, int64_t k) { body(reached_[in_.pair_type[p]], rows_.column[k]); });
    };
    each([](Reached& own, int64_t column) { own.first = std::min(own.first, column); });
    each([](Reached& own, int64_t column) { own.count = std::max(own.count, column + STENCIL - own.first); });
    for (Reached& own : reached_) own.place = std::exchange(columns_, columns_ + own.count);
    each([](Reached& own, int64_t& column) { column += own.place - own.first; });
  }

  // Calls body(numbers of `rows`, the same rows in at_nodes, how many numbers) for each neighbour type.
  template <typename Body>
  void each_reached(const Matrix<T>& rows, const Matrix<T>& at_nodes, const Body& body) const {
    for (const Reached& own : reached_)
      if (own.count) body(rows.row(own.place), at_nodes.row(own.first), own.count * rows.columns);
  }

  // For each centre the number of pairs of all centres before it; the last entry is the number of all pairs.
  int64_t* offsets(Workspace& memory) const {
    int64_t* found = memory.numbers<int64_t>(centres_.count + 1);
    found[0] = 0;
    for (int64_t n = 0; n < centres_.count; ++n) {
      const int64_t* start = in_.pair_start + centres_.atoms[n];
      found[n + 1] = found[n] + start[1] - start[0];
    }
    return found;
  }

  // Calls body(n, atom, thread) for every centre, on several threads.
  template <typename Body>
  void each_atom(const Body& body) const {
    parallel_parts(centres_.count, 16, [&](int64_t begin, int64_t end, int64_t thread) {
      for (int64_t n = begin; n < end; ++n) body(n, centres_.atoms[n], thread);
    });
  }

  // Calls body(index among all pairs, index among the pairs here) for each pair of one centre.
  template <typename Body>
  void each_pair(int64_t n, int64_t atom, const Body& body) const {
    for (int64_t p = in_.pair_start[atom], k = offset_[n]; k < offset_[n + 1]; ++p, ++k) body(p, k);
  }

  // For the pairs of one centre: R~ = (s, t d) with s = w(r)/(r + p) and t = s/(r + p), their derivatives with respect to
  // r, and the position of s~ among the nodes low + scale·(exp(m·step) − 1).
  void make_rows(int64_t n, int64_t atom) const {
    const int64_t first = in_.pair_start[atom], count = in_.pair_start[atom + 1] - first, types = 2 * in_.types;
    const int64_t *type = in_.pair_type + first, *n_nodes = in_.n_nodes + types * centres_.type,
                  *begin = in_.column + types * centres_.type, here = offset_[n];
    require(std::all_of(type, type + count, [&](int64_t one) { return 0 <= one && one < types; }) &&
                std::all_of(in_.pair_neighbour + first, in_.pair_neighbour + first + count,
                            [&](int64_t one) { return 0 <= one && one < in_.atoms; }),
            "neighbours that are atoms of the batch, and neighbour types from 0 to twice the elements");
    const T *d = vector_ + 3 * first, *step = static_cast<const T*>(in_.step) + types * centres_.type;
    const T smooth = in_.rcut_smth, per_width = 1 / (in_.rcut - in_.rcut_smth), protection = in_.protection;
    const T low = static_cast<const T*>(in_.low)[centres_.type], scale = in_.scale, per_scale = 1 / in_.scale;
    const T mean = mean_[0], per_deviation = per_deviation_[0];
    T *s_ = rows_.s + here, *t_ = rows_.t + here, *ds_ = rows_.ds + here, *dt_ = rows_.dt + here;
    T *per_r_ = rows_.per_r + here, *x_ = rows_.x + here, *per_s_ = rows_.per_s + here;
#pragma omp simd
    for (int64_t k = 0; k < count; ++k) {
      const T r = std::sqrt(d[3 * k] * d[3 * k] + d[3 * k + 1] * d[3 * k + 1] + d[3 * k + 2] * d[3 * k + 2]);
      const T inverse = T(1) / (r + protection);
      const T u = std::min(std::max((r - smooth) * per_width, T(0)), T(1));
      const T w = u * u * u * ((T(-6) * u + T(15)) * u - T(10)) + T(1);
      const T s = w * inverse, bend = u * (T(1) - u);
      t_[k] = s * inverse;
      ds_[k] = (T(-30) * bend * bend * per_width - s) * inverse;
      dt_[k] = (ds_[k] - t_[k]) * inverse;
      per_r_[k] = r > T(0) ? T(1) / r : T(0);
      s_[k] = (s - mean) * per_deviation;
      const T shifted = s_[k] - low;
      x_[k] = logarithm(T(1) + shifted * per_scale);
      per_s_[k] = T(1) / (shifted + scale);
    }
    for (int64_t k = 0; k < count; ++k) {
      const int64_t last = n_nodes[type[k]] - STENCIL;
      const T per_step = 1 / step[type[k]], place = x_[k] * per_step;
      // With this order of min and max, NaN gives the first node, and no number overflows an integer.
      const T node = std::max(T(0), std::floor(place) - T(STENCIL / 2 - 1));
      const int64_t stencil = static_cast<int64_t>(std::min(T(last), node));
      x_[k] = place - T(stencil) - T(STENCIL - 1) / 2;
      per_s_[k] *= per_step;
      rows_.column[here + k] = begin[type[k]] + stencil;
      require(0 <= begin[type[k]] && begin[type[k]] + last + STENCIL <= in_.columns[centres_.type], "nodes of each neighbour type");
    }
  }

  // Fills R~ of a pair.
  void row(int64_t p, int64_t k, Row<T>& row) const {
    row[0] = rows_.s[k];
    for (int c = 1; c < 4; ++c) row[c] = (vector_[3 * p + c - 1] * rows_.t[k] - mean_[c]) * per_deviation_[c];
  }

  // The vector between the real atoms of a pair, d − η_j S_j.
  void between(int64_t p, T* x) const {
    for (int l = 0; l < 3; ++l)
      x[l] = vector_[3 * p + l] - eta_[in_.pair_type[p]] * spin_[3 * in_.pair_neighbour[p] + l];
  }

  // g = Σ ∂E/∂B ∂B/∂d of a pair. by_sums: ∂E/∂B of the pair's centre, from the first node of the stencil on.
  void pull_back(int64_t p, int64_t k, const T* by_sums, T* g) const {
    const Polynomials<T> stencil(polynomials_, rows_.x[k]);
    const Nodes<T> value(stencil.value), slope(stencil.slope);
    const T* d = vector_ + 3 * p;
    Row<T> row, by_row = {}, by_node = {};
    this->row(p, k, row);
#pragma GCC unroll 8
    for (int64_t m = 0; m < STENCIL; ++m, by_sums += sums_.down) {
      by_row += value.at[m] * at(by_sums);
      by_node += slope.at[m] * at(by_sums);
    }
    by_node *= row;
    by_row[0] += (by_node[0] + by_node[1] + by_node[2] + by_node[3]) * rows_.per_s[k];
    for (int c = 0; c < 4; ++c) by_row[c] *= per_deviation_[c];
    const T along = by_row[0] * rows_.ds[k] +
                    (by_row[1] * d[0] + by_row[2] * d[1] + by_row[3] * d[2]) * rows_.dt[k];
    for (int l = 0; l < 3; ++l) g[l] = along * rows_.per_r[k] * d[l] + rows_.t[k] * by_row[l + 1];
  }

  // The transpose of pull_back: adds to `sums` the change of B for a change g of the pair's vector.
  void push_forward(int64_t p, int64_t k, const T* g, T* sums) const {
    const Polynomials<T> stencil(polynomials_, rows_.x[k]);
    const Nodes<T> value(stencil.value), slope(stencil.slope);
    const T* d = vector_ + 3 * p;
    const T along = (g[0] * d[0] + g[1] * d[1] + g[2] * d[2]) * rows_.per_r[k];
    Row<T> row, change;
    this->row(p, k, row);
    change[0] = along * rows_.ds[k] * per_deviation_[0];
    for (int l = 0; l < 3; ++l)
      change[l + 1] = (rows_.t[k] * g[l] + along * rows_.dt[k] * d[l]) * per_deviation_[l + 1];
    row *= change[0] * rows_.per_s[k];
#pragma GCC unroll 8
    for (int64_t m = 0; m < STENCIL; ++m, sums += sums_.down) at(sums) += value.at[m] * change + slope.at[m] * row;
  }

  const spinpot_deepspin& in_;
  Centres centres_;
  const T *vector_, *spin_, *eta_, *polynomials_;
  T mean_[4], per_deviation_[4];
  int64_t* offset_;
  Rows<T> rows_;
  std::vector<Reached> reached_;  // for each neighbour type
  int64_t columns_ = 0;
  Matrix<T> sums_ = {};
};

}  // namespace spinpot
