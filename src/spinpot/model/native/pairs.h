// The sums over pairs of spinpot.model.pair_map as loops: the same formulas as there, without a tensor for
// each of their steps. Pairs come sorted by their centres, so that each thread has sums of its own.

#pragma once

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "tensors.h"

namespace spinpot {

constexpr int64_t STENCIL = 8;
constexpr int64_t GRAIN = 16;  // atoms, for a thread at once

// What is kept of a pair between the three loops.
template <typename T>
struct Pair {
  T value[STENCIL], slope[STENCIL];  // φ and dφ/ds~
  T row[4];                          // R~
  T direction[3];                    // d/r
  T t, ds, dt;                       // as in spinpot.model.environment.Rows
};

template <typename T>
constexpr int64_t NUMBERS = sizeof(Pair<T>) / sizeof(T);

// row = (s, t d) with s = w(r)/(r + p), t = s/(r + p), and their derivatives by r.
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
template <typename T>
int64_t make_stencil(Pair<T>& pair, T low, T step, T scale, int64_t n_nodes, const T* polynomials) {
  const T shifted = pair.row[0] - low;
  const T place = std::log1p(shifted / scale) / step;
  int64_t first = static_cast<int64_t>(std::floor(place)) - (STENCIL / 2 - 1);
  first = std::min(std::max(first, int64_t(0)), n_nodes - STENCIL);
  const T x = place - T(first) - T(STENCIL - 1) / 2;
  const T per_s = T(1) / ((shifted + scale) * step);
  T power = 1, before = 0;
  std::fill_n(pair.value, STENCIL, T(0));
  std::fill_n(pair.slope, STENCIL, T(0));
  for (int64_t n = 0; n < STENCIL; ++n) {
    const T* polynomial = polynomials + n * STENCIL;
    const T slope = T(n) * before * per_s;
    for (int64_t m = 0; m < STENCIL; ++m) {
      pair.value[m] += power * polynomial[m];
      pair.slope[m] += slope * polynomial[m];
    }
    before = power;
    power *= x;
  }
  return first;
}

// B (A, 4, room), atoms in the order of `place`; the first column of each pair; what is kept of it.
// low (T,); step, n_nodes, begin (T, 2T), the columns where the nodes of a pair of types begin.
inline std::tuple<Tensor, Tensor, Tensor> sums(
    const Tensor& vector, const Tensor& pair_type, const Tensor& start, const Tensor& types,
    const Tensor& place, const Tensor& davg, const Tensor& dstd, const Tensor& low, const Tensor& step,
    const Tensor& n_nodes, const Tensor& begin_of, const Tensor& polynomials, double smooth, double cutoff,
    double protection, double scale, int64_t room) {
  check({vector, pair_type, start, types, place, davg, dstd, low, step, n_nodes, begin_of, polynomials});
  const int64_t atoms = types.numel(), n_pairs = pair_type.numel(), neighbours = step.size(1);
  Tensor result = at::zeros({atoms, 4, room}, vector.options());
  Tensor columns = at::empty({n_pairs}, pair_type.options());
  Tensor kept = at::empty({n_pairs, NUMBERS<double>}, vector.options());
  AT_DISPATCH_FLOATING_TYPES(vector.scalar_type(), "sums", [&] {
    using T = scalar_t;
    auto* pairs = reinterpret_cast<Pair<T>*>(kept.data_ptr<T>());
    auto* column = columns.data_ptr<int64_t>();
    T* out = result.data_ptr<T>();
    at::parallel_for(0, atoms, GRAIN, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t type = indices(types)[i];
        T* own = out + indices(place)[i] * 4 * room;
        for (int64_t p = indices(start)[i]; p < indices(start)[i + 1]; ++p) {
          Pair<T> pair;
          make_row<T>(pair, numbers<T>(vector) + 3 * p, numbers<T>(davg) + 4 * type,
                      numbers<T>(dstd) + 4 * type, smooth, cutoff, protection);
          const int64_t both = type * neighbours + indices(pair_type)[p];
          const int64_t first = make_stencil<T>(pair, numbers<T>(low)[type], numbers<T>(step)[both], scale,
                                                indices(n_nodes)[both], numbers<T>(polynomials));
          column[p] = indices(begin_of)[both] + first;
          for (int c = 0; c < 4; ++c) {
            T* target = own + c * room + column[p];
            for (int64_t m = 0; m < STENCIL; ++m) target[m] += pair.row[c] * pair.value[m];
          }
          pairs[p] = pair;
        }
      }
    });
  });
  return {result, columns, kept};
}

// What the two maps between ∂E/∂B and the forces go over.
template <typename T>
struct Structure {
  const int64_t *start, *types, *place, *frame, *neighbour, *pair_type, *column;
  const T *vector, *spin, *scale, *dstd;
  const Pair<T>* pairs;
  int64_t room;

  // The vector between the real atoms of a pair, d − η_j S_j.
  void between(int64_t p, T* x) const {
    for (int k = 0; k < 3; ++k)
      x[k] = vector[3 * p + k] - scale[pair_type[p]] * spin[3 * neighbour[p] + k];
  }
};

template <typename T>
Structure<T> structure(const at::TensorList& tensors, int64_t room) {
  const auto at = [&](int n) { return indices(tensors[n]); };
  const auto of = [&](int n) { return numbers<T>(tensors[n]); };
  return {at(0), at(1), at(2), at(3), at(4), at(5), at(6), of(7), of(8), of(9), of(10),
          reinterpret_cast<const Pair<T>*>(of(11)), room};
}

// g = Σ ∂E/∂B ∂B/∂d of a pair, from its atom's part of ∂E/∂B.
template <typename T>
void pull_back(const Structure<T>& in, int64_t p, int64_t type, const T* by_sums, T* g) {
  const Pair<T>& pair = in.pairs[p];
  const T* d = in.vector + 3 * p;
  T by_row[4], by_s = 0;
  for (int c = 0; c < 4; ++c) {
    const T* at_nodes = by_sums + c * in.room + in.column[p];
    T value = 0, slope = 0;
#pragma omp simd reduction(+ : value, slope)
    for (int64_t m = 0; m < STENCIL; ++m) {
      value += at_nodes[m] * pair.value[m];
      slope += at_nodes[m] * pair.slope[m];
    }
    by_row[c] = value;
    by_s += slope * pair.row[c];
  }
  by_row[0] += by_s;
  for (int c = 0; c < 4; ++c) by_row[c] /= in.dstd[4 * type + c];
  const T along =
      by_row[0] * pair.ds + (by_row[1] * d[0] + by_row[2] * d[1] + by_row[3] * d[2]) * pair.dt;
  for (int k = 0; k < 3; ++k) g[k] = along * pair.direction[k] + pair.t * by_row[k + 1];
}

// The transpose: adds what a change g of the pair's vector makes of its atom's part of B.
template <typename T>
void push_forward(const Structure<T>& in, int64_t p, int64_t type, const T* g, T* sums) {
  const Pair<T>& pair = in.pairs[p];
  const T* d = in.vector + 3 * p;
  const T along = g[0] * pair.direction[0] + g[1] * pair.direction[1] + g[2] * pair.direction[2];
  T row[4];
  row[0] = along * pair.ds / in.dstd[4 * type];
  for (int k = 0; k < 3; ++k)
    row[k + 1] = (pair.t * g[k] + along * pair.dt * d[k]) / in.dstd[4 * type + k + 1];
  for (int c = 0; c < 4; ++c) {
    T* target = sums + c * in.room + in.column[p];
    const T by_slope = row[0] * pair.row[c];
    for (int64_t m = 0; m < STENCIL; ++m)
      target[m] += row[c] * pair.value[m] + by_slope * pair.slope[m];
  }
}

// Force (A, 3), magnetic force (A, 3) and virial (F, 3, 3) from ∂E/∂B; `tensors` as in Structure.
inline std::tuple<Tensor, Tensor, Tensor> derivatives(const Tensor& by_sums, at::TensorList tensors, int64_t frames) {
  check({by_sums});
  check(tensors);
  const int64_t atoms = by_sums.size(0), threads = at::get_num_threads(), own = 6 * atoms + 9 * frames;
  // Each thread adds to a copy of its own, since a neighbour may be anybody's.
  Tensor copies = at::zeros({threads, own}, by_sums.options());
  AT_DISPATCH_FLOATING_TYPES(by_sums.scalar_type(), "derivatives", [&] {
    using T = scalar_t;
    const auto in = structure<T>(tensors, by_sums.size(2));
    T* out = copies.data_ptr<T>();
    at::parallel_for(0, atoms, GRAIN, [&](int64_t begin, int64_t end) {
      T* force = out + at::get_thread_num() * own;
      T* force_mag = force + 3 * atoms;
      T* virials = force_mag + 3 * atoms;
      for (int64_t i = begin; i < end; ++i) {
        const T* mine = numbers<T>(by_sums) + in.place[i] * 4 * in.room;
        T* virial = virials + 9 * in.frame[i];
        for (int64_t p = in.start[i]; p < in.start[i + 1]; ++p) {
          const int64_t j = in.neighbour[p];
          const T scale = in.scale[in.pair_type[p]];
          T g[3], x[3];
          pull_back(in, p, in.types[i], mine, g);
          in.between(p, x);
          for (int k = 0; k < 3; ++k) {
            force[3 * i + k] += g[k];
            force[3 * j + k] -= g[k];
            force_mag[3 * j + k] -= scale * g[k];
            for (int l = 0; l < 3; ++l) virial[3 * k + l] -= g[k] * x[l];
          }
        }
      }
    });
  });
  const Tensor total = threads > 1 ? copies.sum(0) : copies[0];
  return {total.narrow(0, 0, 3 * atoms).view({atoms, 3}), total.narrow(0, 3 * atoms, 3 * atoms).view({atoms, 3}),
          total.narrow(0, 6 * atoms, 9 * frames).view({frames, 3, 3})};
}

// The transpose of `derivatives`: from weights of force, magnetic force and virial to a change of B.
inline Tensor transposed(
    const Tensor& force, const Tensor& force_mag, const Tensor& virial, at::TensorList tensors, int64_t room) {
  check({force, force_mag, virial});
  check(tensors);
  const int64_t atoms = force.size(0);
  Tensor result = at::zeros({atoms, 4, room}, force.options());
  AT_DISPATCH_FLOATING_TYPES(force.scalar_type(), "transposed", [&] {
    using T = scalar_t;
    const auto in = structure<T>(tensors, room);
    const T *f = numbers<T>(force), *m = numbers<T>(force_mag), *v = numbers<T>(virial);
    T* out = result.data_ptr<T>();
    at::parallel_for(0, atoms, GRAIN, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T* strain = v + 9 * in.frame[i];
        for (int64_t p = in.start[i]; p < in.start[i + 1]; ++p) {
          const int64_t j = in.neighbour[p];
          const T scale = in.scale[in.pair_type[p]];
          T g[3], x[3];
          in.between(p, x);
          for (int k = 0; k < 3; ++k)
            g[k] = f[3 * i + k] - f[3 * j + k] - scale * m[3 * j + k] - strain[3 * k] * x[0] -
                   strain[3 * k + 1] * x[1] - strain[3 * k + 2] * x[2];
          push_forward(in, p, in.types[i], g, out + in.place[i] * 4 * room);
        }
      }
    });
  });
  return result;
}

}  // namespace spinpot
