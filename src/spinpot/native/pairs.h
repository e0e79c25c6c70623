// The sums over pairs of spinpot.models.deepspin.pair_map as loops: the same formulas as there, without a tensor for
// each of their steps. Pairs come sorted by their centres, so that each thread has sums of its own.

#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Dict.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <tuple>

#include "tensors.h"
#include "vectors.h"

namespace spinpot {

using Named = c10::Dict<std::string, Tensor>;
using Settings = c10::Dict<std::string, double>;

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
  int64_t first = static_cast<int64_t>(std::floor(place)) - (STENCIL / 2 - 1);
  first = std::min(std::max(first, int64_t(0)), n_nodes - STENCIL);
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

// B of a batch, and its derivatives by the pairs' vectors as a linear map.
template <typename T>
class PairMap {
 public:
  // tensors: of the batch, the grid and the descriptor by name, kept by the caller. room: columns of B.
  PairMap(const Named& tensors, const Settings& settings, int64_t frames, int64_t room)
      : start_(indices(tensors.at("pair_start"))),
        types_(indices(tensors.at("types"))),
        place_(indices(tensors.at("atom_place"))),
        frame_(indices(tensors.at("frame"))),
        neighbour_(indices(tensors.at("pair_neighbour"))),
        pair_type_(indices(tensors.at("pair_type"))),
        vector_(numbers<T>(tensors.at("vector"))),
        spin_(numbers<T>(tensors.at("spin"))),
        eta_(numbers<T>(tensors.at("eta"))),
        dstd_(numbers<T>(tensors.at("dstd"))),
        atoms_(tensors.at("types").numel()),
        frames_(frames),
        room_(room),
        options_(tensors.at("vector").options()),
        pairs_(new Pair<T>[tensors.at("pair_type").numel()]) {
    for (const auto& item : tensors) check(item.value());
    check_below(tensors.at("pair_type"), tensors.at("step").size(1), "neighbour types");
    check_below(tensors.at("pair_neighbour"), atoms_, "neighbours");
    sums_ = at::zeros({atoms_, 4, room_}, options_);
    const T *davg = numbers<T>(tensors.at("davg")), *low = numbers<T>(tensors.at("low"));
    const T *step = numbers<T>(tensors.at("step")), *polynomials = numbers<T>(tensors.at("polynomials"));
    const int64_t *n_nodes = indices(tensors.at("n_nodes")), *begin_of = indices(tensors.at("column"));
    const int64_t neighbours = tensors.at("step").size(1);
    const T smooth = settings.at("rcut_smth"), cutoff = settings.at("rcut"), scale = settings.at("scale");
    const T protection = settings.at("env_protection");
    T* out = sums_.data_ptr<T>();
    each_atom([&](int64_t i) {
      const int64_t type = types_[i];
      T* own = out + place_[i] * 4 * room_;
      for (int64_t p = start_[i]; p < start_[i + 1]; ++p) {
        Pair<T>& pair = pairs_[p];
        const int64_t both = type * neighbours + pair_type_[p];
        make_row<T>(pair, vector_ + 3 * p, davg + 4 * type, dstd_ + 4 * type, smooth, cutoff, protection);
        pair.column =
            begin_of[both] + make_stencil<T>(pair, low[type], step[both], scale, n_nodes[both], polynomials);
        for (int c = 0; c < 4; ++c) add<T>(own + c * room_ + pair.column, pair.value * pair.row[c]);
      }
    });
  }

  // B (A, 4, room), the atoms in the order of their elements.
  const Tensor& sums() const { return sums_; }

  // Force (A, 3), magnetic force (A, 3) and virial (F, 3, 3) from ∂E/∂B.
  std::tuple<Tensor, Tensor, Tensor> derivatives(const Tensor& by_sums) const {
    const int64_t threads = at::get_num_threads(), own = 6 * atoms_ + 9 * frames_;
    // Each thread adds to a copy of its own, since a neighbour may be anybody's.
    const Tensor copies = at::zeros({threads, own}, options_);
    const T* by_B = numbers<T>(by_sums);
    T* out = copies.data_ptr<T>();
    each_atom([&](int64_t i) {
      T* force = out + at::get_thread_num() * own;
      T* force_mag = force + 3 * atoms_;
      T* virial = force_mag + 3 * atoms_ + 9 * frame_[i];
      for (int64_t p = start_[i]; p < start_[i + 1]; ++p) {
        const int64_t j = neighbour_[p];
        const T scale = eta_[pair_type_[p]];
        T g[3], x[3];
        pull_back(p, types_[i], by_B + place_[i] * 4 * room_, g);
        between(p, x);
        for (int k = 0; k < 3; ++k) {
          force[3 * i + k] += g[k];
          force[3 * j + k] -= g[k];
          force_mag[3 * j + k] -= scale * g[k];
          for (int l = 0; l < 3; ++l) virial[3 * k + l] -= g[k] * x[l];
        }
      }
    });
    const Tensor total = threads > 1 ? copies.sum(0) : copies[0];
    return {total.narrow(0, 0, 3 * atoms_).view({atoms_, 3}),
            total.narrow(0, 3 * atoms_, 3 * atoms_).view({atoms_, 3}),
            total.narrow(0, 6 * atoms_, 9 * frames_).view({frames_, 3, 3})};
  }

  // The transpose of `derivatives`: from weights of force, magnetic force and virial to a change of B.
  Tensor transposed(const Tensor& force, const Tensor& force_mag, const Tensor& virial) const {
    const Tensor result = at::zeros({atoms_, 4, room_}, options_);
    const T *f = numbers<T>(force), *m = numbers<T>(force_mag), *v = numbers<T>(virial);
    T* out = result.data_ptr<T>();
    each_atom([&](int64_t i) {
      const T* strain = v + 9 * frame_[i];
      for (int64_t p = start_[i]; p < start_[i + 1]; ++p) {
        const int64_t j = neighbour_[p];
        const T scale = eta_[pair_type_[p]];
        T g[3], x[3];
        between(p, x);
        for (int k = 0; k < 3; ++k)
          g[k] = f[3 * i + k] - f[3 * j + k] - scale * m[3 * j + k] - strain[3 * k] * x[0] -
                 strain[3 * k + 1] * x[1] - strain[3 * k + 2] * x[2];
        push_forward(p, types_[i], g, out + place_[i] * 4 * room_);
      }
    });
    return result;
  }

 private:
  // body(atom) for every atom.
  template <typename Body>
  void each_atom(const Body& body) const {
    at::parallel_for(0, atoms_, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(i);
    });
  }

  // The vector between the real atoms of a pair, d − η_j S_j.
  void between(int64_t p, T* x) const {
    for (int k = 0; k < 3; ++k) x[k] = vector_[3 * p + k] - eta_[pair_type_[p]] * spin_[3 * neighbour_[p] + k];
  }

  // g = Σ ∂E/∂B ∂B/∂d of a pair, from its atom's part of ∂E/∂B.
  void pull_back(int64_t p, int64_t type, const T* by_sums, T* g) const {
    const Pair<T>& pair = pairs_[p];
    const T *d = vector_ + 3 * p, *dstd = dstd_ + 4 * type;
    T by_row[4];
    Stencil<T> by_value = {};
    for (int c = 0; c < 4; ++c) {
      const auto at_nodes = load(by_sums + c * room_ + pair.column);
      by_row[c] = (at_nodes * pair.value).sum();
      by_value = by_value + at_nodes * pair.row[c];
    }
    by_row[0] += (by_value * pair.slope).sum();
    for (int c = 0; c < 4; ++c) by_row[c] /= dstd[c];
    const T along = by_row[0] * pair.ds + (by_row[1] * d[0] + by_row[2] * d[1] + by_row[3] * d[2]) * pair.dt;
    for (int k = 0; k < 3; ++k) g[k] = along * pair.direction[k] + pair.t * by_row[k + 1];
  }

  // The transpose: adds what a change g of the pair's vector makes of its atom's part of B.
  void push_forward(int64_t p, int64_t type, const T* g, T* sums) const {
    const Pair<T>& pair = pairs_[p];
    const T *d = vector_ + 3 * p, *dstd = dstd_ + 4 * type;
    const T along = g[0] * pair.direction[0] + g[1] * pair.direction[1] + g[2] * pair.direction[2];
    T row[4];
    row[0] = along * pair.ds / dstd[0];
    for (int k = 0; k < 3; ++k) row[k + 1] = (pair.t * g[k] + along * pair.dt * d[k]) / dstd[k + 1];
    for (int c = 0; c < 4; ++c)
      add<T>(sums + c * room_ + pair.column, pair.value * row[c] + pair.slope * (row[0] * pair.row[c]));
  }

  const int64_t *start_, *types_, *place_, *frame_, *neighbour_, *pair_type_;
  const T *vector_, *spin_, *eta_, *dstd_;
  int64_t atoms_, frames_, room_;
  at::TensorOptions options_;
  std::unique_ptr<Pair<T>[]> pairs_;
  Tensor sums_;
};

}  // namespace spinpot
