// The sums over pairs of spinpot.models.deepspin.pair_map as loops: the same formulas as there, without a tensor for
// each of their steps. Pairs come sorted by their centres, so that each thread has sums of its own.

#pragma once

#include <algorithm>
#include <cmath>

#include "guard.h"
#include "interface.h"
#include "memory.h"
#include "parallel.h"
#include "vectors.h"

namespace spinpot {

constexpr int64_t STENCIL = 8;

// A number for each node of a stencil, in whole vectors of the processor.
template <typename T>
struct Stencil {
  static constexpr int64_t bytes = std::min<int64_t>(BYTES, STENCIL * sizeof(T)), lanes = bytes / sizeof(T);
  typedef T Vector __attribute__((vector_size(bytes), aligned(alignof(T)), may_alias));
  Vector parts[STENCIL / lanes];

  // f(part, the same part of another).
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

  T sum() const {
    Vector all = parts[0];
#pragma GCC unroll 8
    for (int64_t m = 1; m < STENCIL / lanes; ++m) all += parts[m];
    T result = all[0];
#pragma GCC unroll 8
    for (int64_t m = 1; m < lanes; ++m) result += all[m];
    return result;
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

template <typename T>
void add(T* numbers, const Stencil<T>& change) {
#pragma GCC unroll 8
  for (const auto& part : change.parts) {
    *reinterpret_cast<typename Stencil<T>::Vector*>(numbers) += part;
    numbers += Stencil<T>::lanes;
  }
}

// What is kept of a pair between the three loops.
template <typename T>
struct Pair {
  Stencil<T> value, slope;           // φ and dφ/ds~
  T row[4];                          // R~
  T direction[3];                    // d/r
  T t, ds, dt;                       // as in spinpot.models.deepspin.environment.Rows
  int64_t column;                    // of B, the first one
};

// R~ = (s, t d) with s = w(r)/(r + p), t = s/(r + p), and their derivatives by r.
template <typename T>
void make_row(Pair<T>& pair, const T* d, const T* davg, const T* dstd, T smooth, T cutoff, T protection) {
  const T r = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
  const T inverse = T(1) / (r + protection);
  const T u = std::min(std::max((r - smooth) / (cutoff - smooth), T(0)), T(1));
  const T w = u * u * u * ((T(-6) * u + T(15)) * u - T(10)) + T(1);
  const T s = w * inverse;
  const T bend = u * (T(1) - u);
  pair.t = s * inverse;
  pair.ds = (T(-30) * bend * bend / (cutoff - smooth) - s) * inverse;
  pair.dt = (pair.ds - pair.t) * inverse;
  pair.row[0] = (s - davg[0]) / dstd[0];
  const T per_r = r > T(0) ? T(1) / r : T(0);
  for (int k = 0; k < 3; ++k) {
    pair.row[k + 1] = (d[k] * pair.t - davg[k + 1]) / dstd[k + 1];
    pair.direction[k] = d[k] * per_r;
  }
}

// The stencil of s~ on the nodes low + scale·(exp(m·step) − 1); returns its first node.
// polynomials (STENCIL, STENCIL): coefficients of φ, those of one power in a row.
template <typename T>
int64_t make_stencil(Pair<T>& pair, T low, T step, T scale, int64_t n_nodes, const T* polynomials) {
  const T shifted = pair.row[0] - low;
  const T place = std::log1p(shifted / scale) / step;
  // In this order NaN gives the first node, and no number is too large for an integer.
  const T low_end = std::max(T(0), std::floor(place) - T(STENCIL / 2 - 1));
  const int64_t first = static_cast<int64_t>(std::min(T(n_nodes - STENCIL), low_end));
  const T x = place - T(first) - T(STENCIL - 1) / 2;
  const T per_s = T(1) / ((shifted + scale) * step);
  auto value = load(polynomials + (STENCIL - 1) * STENCIL);
  Stencil<T> slope = {};
  for (int64_t n = STENCIL - 1; n-- > 0;) {  // Horner's rule
    slope = slope * x + value;
    value = value * x + load(polynomials + n * STENCIL);
  }
  pair.value = value;
  pair.slope = slope * per_s;
  return first;
}

// Some atoms of one element, whose B has `columns`.
struct Centres {
  int64_t type, columns, count;
  const int64_t* atoms;
};

// Where forces of all atoms and virials of all structures are added up.
template <typename T>
struct Forces {
  T *force, *force_mag, *virial;
};

// B of some atoms, and its derivatives by the pairs' vectors as a linear map.
template <typename T>
class PairMap {
 public:
  // in: checked, and kept by the caller as are the atoms; memory: for what is kept here.
  PairMap(const spinpot_deepspin& in, const Centres& centres, Workspace& memory)
      : in_(in),
        centres_(centres),
        vector_(static_cast<const T*>(in.vector)),
        spin_(static_cast<const T*>(in.spin)),
        eta_(static_cast<const T*>(in.eta)),
        dstd_(static_cast<const T*>(in.dstd) + 4 * centres.type),
        offset_(memory.numbers<int64_t>(centres.count)) {
    int64_t pairs = 0;
    for (int64_t n = 0; n < centres.count; ++n) {
      const int64_t i = centres.atoms[n];
      offset_[n] = pairs - in.pair_start[i];
      pairs += in.pair_start[i + 1] - in.pair_start[i];
    }
    pairs_ = memory.numbers<Pair<T>>(pairs);
    sums_ = memory.zeros<T>(size());
    const int64_t row = centres.type * 2 * in.types;
    const T *davg = static_cast<const T*>(in.davg) + 4 * centres.type, *step = static_cast<const T*>(in.step) + row;
    const T *polynomials = static_cast<const T*>(in.polynomials), low = static_cast<const T*>(in.low)[centres.type];
    each_atom([&](int64_t n, int64_t i, int64_t) {
      T* own = sums_ + n * 4 * room();
      for (int64_t p = in_.pair_start[i]; p < in_.pair_start[i + 1]; ++p) {
        Pair<T>& pair = pairs_[offset_[n] + p];
        const int64_t type = in_.pair_type[p];
        require(0 <= type && type < 2 * in_.types, "neighbour types from 0 to twice the elements");
        make_row<T>(pair, vector_ + 3 * p, davg, dstd_, in_.rcut_smth, in_.rcut, in_.protection);
        pair.column = in_.column[row + type] +
                      make_stencil<T>(pair, low, step[type], in_.scale, in_.n_nodes[row + type], polynomials);
        require(0 <= pair.column && pair.column + STENCIL <= room(), "nodes for each neighbour type that occurs");
        for (int c = 0; c < 4; ++c) add<T>(own + c * room() + pair.column, pair.value * pair.row[c]);
      }
    });
  }

  // B (n, 4, columns).
  T* sums() const { return sums_; }
  int64_t size() const { return centres_.count * 4 * room(); }

  // Adds force (A, 3), magnetic force (A, 3) and virial (F, 3, 3) from ∂E/∂B, each thread to sums of its own since a
  // neighbour may be anybody's.
  void add_derivatives(const T* by_sums, const Forces<T>* of_threads) const {
    each_atom([&](int64_t n, int64_t i, int64_t thread) {
      const auto [force, force_mag, virials] = of_threads[thread];
      T* virial = virials + 9 * in_.frame[i];
      for (int64_t p = in_.pair_start[i]; p < in_.pair_start[i + 1]; ++p) {
        const int64_t j = in_.pair_neighbour[p];
        require(0 <= j && j < in_.atoms, "neighbours that are atoms of the batch");
        const T scale = eta_[in_.pair_type[p]];
        T g[3], x[3];
        pull_back(pairs_[offset_[n] + p], vector_ + 3 * p, by_sums + n * 4 * room(), g);
        between(p, x);
        for (int k = 0; k < 3; ++k) {
          force[3 * i + k] += g[k];
          force[3 * j + k] -= g[k];
          force_mag[3 * j + k] -= scale * g[k];
          for (int l = 0; l < 3; ++l) virial[3 * k + l] -= g[k] * x[l];
        }
      }
    });
  }

  // The transpose of the derivatives: from weights of force, magnetic force and virial to a change of B, into `out`.
  void transposed(const T* force, const T* force_mag, const T* virial, T* out) const {
    std::fill_n(out, size(), T(0));
    each_atom([&](int64_t n, int64_t i, int64_t) {
      const T* strain = virial + 9 * in_.frame[i];
      for (int64_t p = in_.pair_start[i]; p < in_.pair_start[i + 1]; ++p) {
        const int64_t j = in_.pair_neighbour[p];
        const T scale = eta_[in_.pair_type[p]];
        T g[3], x[3];
        between(p, x);
        for (int k = 0; k < 3; ++k)
          g[k] = force[3 * i + k] - force[3 * j + k] - scale * force_mag[3 * j + k] - strain[3 * k] * x[0] -
                 strain[3 * k + 1] * x[1] - strain[3 * k + 2] * x[2];
        push_forward(pairs_[offset_[n] + p], vector_ + 3 * p, g, out + n * 4 * room());
      }
    });
  }

 private:
  int64_t room() const { return centres_.columns; }

  // body(n, atom, thread) for every centre.
  template <typename Body>
  void each_atom(const Body& body) const {
    parallel_parts(centres_.count, 16, [&](int64_t begin, int64_t end, int64_t thread) {
      for (int64_t n = begin; n < end; ++n) body(n, centres_.atoms[n], thread);
    });
  }

  // The vector between the real atoms of a pair, d − η_j S_j.
  void between(int64_t p, T* x) const {
    for (int k = 0; k < 3; ++k)
      x[k] = vector_[3 * p + k] - eta_[in_.pair_type[p]] * spin_[3 * in_.pair_neighbour[p] + k];
  }

  // g = Σ ∂E/∂B ∂B/∂d of a pair, from its atom's part of ∂E/∂B.
  void pull_back(const Pair<T>& pair, const T* d, const T* by_sums, T* g) const {
    T by_row[4];
    Stencil<T> by_value = {};
    for (int c = 0; c < 4; ++c) {
      const auto at_nodes = load(by_sums + c * room() + pair.column);
      by_row[c] = (at_nodes * pair.value).sum();
      by_value = by_value + at_nodes * pair.row[c];
    }
    by_row[0] += (by_value * pair.slope).sum();
    for (int c = 0; c < 4; ++c) by_row[c] /= dstd_[c];
    const T along = by_row[0] * pair.ds + (by_row[1] * d[0] + by_row[2] * d[1] + by_row[3] * d[2]) * pair.dt;
    for (int k = 0; k < 3; ++k) g[k] = along * pair.direction[k] + pair.t * by_row[k + 1];
  }

  // The transpose: adds what a change g of the pair's vector makes of its atom's part of B.
  void push_forward(const Pair<T>& pair, const T* d, const T* g, T* sums) const {
    const T along = g[0] * pair.direction[0] + g[1] * pair.direction[1] + g[2] * pair.direction[2];
    T row[4];
    row[0] = along * pair.ds / dstd_[0];
    for (int k = 0; k < 3; ++k) row[k + 1] = (pair.t * g[k] + along * pair.dt * d[k]) / dstd_[k + 1];
    for (int c = 0; c < 4; ++c)
      add<T>(sums + c * room() + pair.column, pair.value * row[c] + pair.slope * (row[0] * pair.row[c]));
  }

  const spinpot_deepspin& in_;
  Centres centres_;
  const T *vector_, *spin_, *eta_, *dstd_;
  int64_t* offset_;  // of the first pair of each centre here, from its place among all
  Pair<T>* pairs_;
  T* sums_;
};

}  // namespace spinpot
