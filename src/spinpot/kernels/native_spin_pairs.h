// The contributions of pairs to their centres' sums: ρ of each kind times radial functions, as in
// spinpot.models.native_spin.sums.

#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "blocks.h"
#include "elementary.h"
#include "guard.h"
#include "native_spin_products.h"

namespace spinpot {

// The KINDS of spinpot.models.native_spin.groups. Those before MOMENT do not depend on the neighbour's moment.
enum Kind { DENSITY, DIRECTION, SHAPE, MOMENT, MOMENT_SQUARE, DIRECTION_MOMENT, SHAPE_MOMENT, PSEUDO_DIPOLE, KINDS };
constexpr int64_t COMPONENTS[KINDS] = {1, 3, 6, 3, 6, 9, 18, 3}, MOST_COLUMNS = 56;  // all components, in whole vectors
// The components of a symmetric tensor.
constexpr int64_t SYMMETRIC[6][2] = {{0, 0}, {1, 1}, {2, 2}, {0, 1}, {0, 2}, {1, 2}};

// The number of channels of each kind: 0 if the model does not use the kind, or the neighbours do not have it.
struct Kinds {
  int64_t channels[KINDS];

  bool has(int64_t kind) const { return channels[kind] > 0; }
  int64_t columns(int64_t before = KINDS) const {
    int64_t count = 0;
    for (int64_t kind = 0; kind < before; ++kind) count += has(kind) ? COMPONENTS[kind] : 0;
    return count;
  }
  Kinds of_neighbours(bool magnetic) const {
    Kinds found = *this;
    if (!magnetic) std::fill(found.channels + MOMENT, found.channels + KINDS, 0);
    return found;
  }
};

// A number of several pairs, and its change.
struct Change {
  Vector value, change;

  Change operator*(const Change& b) const { return {value * b.value, change * b.value + value * b.change}; }
  Change operator*(double b) const { return {value * b, change * b}; }
  Change operator+(const Change& b) const { return {value + b.value, change + b.change}; }
  Change operator-(const Change& b) const { return {value - b.value, change - b.change}; }
  Change operator+(double b) const { return {value + b, change}; }
};

// ûû − 1/3.
template <typename N>
void make_shape(const N* u, N* shape) {
  for (int64_t s = 0; s < 6; ++s) shape[s] = u[SYMMETRIC[s][0]] * u[SYMMETRIC[s][1]];
  for (int64_t s = 0; s < 3; ++s) shape[s] = shape[s] + -1.0 / 3.0;
}

// ρ of all kinds, one after the other, for neighbours in the directions u with moments S.
template <typename N>
void make_rho(const Kinds& kinds, const N* u, const N* S, N* rho) {
  N shape[6];
  if (kinds.has(SHAPE) || kinds.has(SHAPE_MOMENT)) make_shape(u, shape);
  const auto copy = [&](const N* numbers, int64_t count) {
    for (int64_t a = 0; a < count; ++a) *rho++ = numbers[a];
  };
  const auto outer = [&](const N* left, int64_t count) {
    for (int64_t a = 0; a < count; ++a)
      for (int64_t b = 0; b < 3; ++b) *rho++ = left[a] * S[b];
  };
  if (kinds.has(DENSITY)) *rho++ = N{} + 1.0;
  if (kinds.has(DIRECTION)) copy(u, 3);
  if (kinds.has(SHAPE)) copy(shape, 6);
  if (kinds.has(MOMENT)) copy(S, 3);
  if (kinds.has(MOMENT_SQUARE))
    for (const auto& s : SYMMETRIC) *rho++ = S[s[0]] * S[s[1]];
  if (kinds.has(DIRECTION_MOMENT)) outer(u, 3);
  if (kinds.has(SHAPE_MOMENT)) outer(shape, 6);
  if (kinds.has(PSEUDO_DIPOLE)) {
    const N along = u[0] * S[0] + u[1] * S[1] + u[2] * S[2];
    for (int64_t a = 0; a < 3; ++a) *rho++ = along * u[a] - S[a] * (1.0 / 3.0);
  }
}

// Adds to by_x the derivatives of Σ_s z_s x_a x_b with respect to x; s = (a, b) are the components of a symmetric tensor.
inline void add_symmetric(const Vector* z, const Vector* x, Vector* by_x) {
  for (int64_t s = 0; s < 6; ++s) {
    const auto [a, b] = SYMMETRIC[s];
    by_x[a] += z[s] * x[b];
    by_x[b] += z[s] * x[a];
  }
}

// Fills the derivatives of Σ_c z_c ρ_c with respect to u and S.
inline void pull_back_rho(const Kinds& kinds, const Vector* z, const Vector* u, const Vector* S, Vector* by_u,
                          Vector* by_S) {
  for (int64_t a = 0; a < 3; ++a) by_u[a] = by_S[a] = Vector{};
  const auto next = [&z](int64_t count) { return std::exchange(z, z + count); };
  if (kinds.has(DENSITY)) next(1);
  if (kinds.has(DIRECTION))
    for (int64_t a = 0; a < 3; ++a) by_u[a] += *next(1);
  if (kinds.has(SHAPE)) add_symmetric(next(6), u, by_u);
  if (kinds.has(MOMENT))
    for (int64_t a = 0; a < 3; ++a) by_S[a] += *next(1);
  if (kinds.has(MOMENT_SQUARE)) add_symmetric(next(6), S, by_S);
  if (kinds.has(DIRECTION_MOMENT))
    for (int64_t a = 0; a < 3; ++a)
      for (int64_t b = 0; b < 3; ++b, ++z) {
        by_u[a] += *z * S[b];
        by_S[b] += *z * u[a];
      }
  if (kinds.has(SHAPE_MOMENT)) {
    Vector shape[6], by_shape[6] = {};
    make_shape(u, shape);
    for (int64_t s = 0; s < 6; ++s)
      for (int64_t b = 0; b < 3; ++b, ++z) {
        by_shape[s] += *z * S[b];
        by_S[b] += *z * shape[s];
      }
    add_symmetric(by_shape, u, by_u);
  }
  if (kinds.has(PSEUDO_DIPOLE)) {
    const Vector along = u[0] * S[0] + u[1] * S[1] + u[2] * S[2], by_along = z[0] * u[0] + z[1] * u[1] + z[2] * u[2];
    for (int64_t a = 0; a < 3; ++a) {
      by_u[a] += along * z[a] + by_along * S[a];
      by_S[a] += by_along * u[a] - z[a] * (1.0 / 3.0);
    }
  }
}

inline int64_t whole(int64_t count, int64_t of) { return (count + of - 1) / of * of; }

// Number of radial functions whose sums are computed together.
constexpr int64_t SUMS = 5;

// out_c = Σ_p functions_p ρ_pc for SUMS functions and N vectors of components c. `next`: distance between the numbers of
// successive functions. `columns`: the same for rows of ρ and of out.
template <int64_t N>
void sum_over_pairs(const double* functions, int64_t next, int64_t pairs, const double* rho, int64_t columns,
                    double* out) {
  Vector total[SUMS][N] = {};
  for (int64_t p = 0; p < pairs; ++p, rho += columns)
#pragma GCC unroll 5
    for (int64_t k = 0; k < SUMS; ++k)
#pragma GCC unroll 2
      for (int64_t n = 0; n < N; ++n)
        total[k][n] += functions[k * next + p] * *reinterpret_cast<const Vector*>(rho + n * LANES);
  for (int64_t k = 0; k < SUMS; ++k)
    for (int64_t n = 0; n < N; ++n) *reinterpret_cast<Vector*>(out + k * columns + n * LANES) = total[k][n];
}

// The neighbours of one element of a centre. Each of their numbers is stored `room` times, `count` padded to whole vectors.
// The radial functions of the padding are zero.
struct Run {
  int64_t type, count, room, radial;
  int64_t* pairs;   // indices among all pairs
  double* numbers;

  static int64_t numbers_of_pair(int64_t radial) { return 2 * whole(radial, SUMS) + 7; }

  // φ and φ' (K, 2 room), followed by rows of zeros up to a multiple of SUMS.
  Matrix<double> functions() const { return matrix(numbers, radial, 2 * room); }
  double* vector(int64_t axis) const { return numbers + (2 * whole(radial, SUMS) + axis) * room; }
  double* per_distance() const { return vector(3); }
  double* spin(int64_t axis) const { return vector(4 + axis); }
};

inline Vector load(const double* numbers) { return *reinterpret_cast<const Vector*>(numbers); }
inline void store(double* numbers, const Vector& value) { *reinterpret_cast<Vector*>(numbers) = value; }

#if defined(__clang__) || __GNUC__ >= 12
// Transposes the matrix of LANES vectors: first swaps blocks of half its size, then smaller ones.
template <int64_t SIDE = LANES / 2, int64_t... LANE>
inline void transpose(Vector* rows, std::integer_sequence<int64_t, LANE...> lanes) {
  for (int64_t i = 0; i < LANES; ++i) {
    if (i & SIDE) continue;
    const Vector a = rows[i], b = rows[i + SIDE];
    rows[i] = __builtin_shufflevector(a, b, (LANE & SIDE ? LANES + LANE - SIDE : LANE)...);
    rows[i + SIDE] = __builtin_shufflevector(a, b, (LANE & SIDE ? LANES + LANE : LANE + SIDE)...);
  }
  if constexpr (SIDE > 1) transpose<SIDE / 2>(rows, lanes);
}
#else
inline void transpose(Vector* rows, std::make_integer_sequence<int64_t, LANES>) {
  for (int64_t i = 0; i < LANES; ++i)
    for (int64_t k = 0; k < i; ++k) {
      const double below = rows[i][k];
      rows[i][k] = rows[k][i];
      rows[k][i] = below;
    }
}
#endif

// Writes ρ_c of LANES pairs as one row of all c for each pair. columns: length of a row, in whole vectors. Overwrites rho.
inline void store_rows(Vector* rho, int64_t columns, double* rows) {
  for (int64_t c = 0; c < columns; c += LANES) {
    transpose(rho + c, std::make_integer_sequence<int64_t, LANES>());
    for (int64_t lane = 0; lane < LANES; ++lane) store(rows + lane * columns + c, rho[c + lane]);
  }
}

// One vector of a run's pairs: 1/r, direction and moment.
struct Some {
  Vector per_r, u[3], S[3];

  Some(const Run& run, int64_t first) : per_r(load(run.per_distance() + first)) {
    for (int64_t a = 0; a < 3; ++a) {
      u[a] = load(run.vector(a) + first) * per_r;
      S[a] = load(run.spin(a) + first);
    }
  }
};

inline Vector dot(const Vector* a, const Vector* b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// The neighbours of some atoms, sorted by element.
class Neighbours {
 public:
  // The caller has checked `in` and keeps it. memory: holds the arrays of this object.
  Neighbours(const spinpot_native_spin& in, const Centres& centres, Workspace& memory) : in_(in), centres_(centres) {
    int64_t pairs = 0, rooms = 0;
    for (int64_t n = 0; n < centres.count; ++n) {
      const int64_t atom = centres.atoms[n], *counts = in.neighbour_counts + 2 * in.types * atom;
      int64_t left = in.pair_start[atom + 1] - in.pair_start[atom];
      first_.push_back(runs_.size());
      for (int64_t t = 0; t < in.types; ++t) {
        const int64_t count = counts[t];
        require(0 <= count && count <= left, "as many neighbours as there are pairs");
        left -= count;
        if (count == 0) continue;
        runs_.push_back({t, count, (count + LANES - 1) / LANES * LANES, in.radial, nullptr, nullptr});
        pairs += count;
        rooms += runs_.back().room;
        most_ = std::max(most_, runs_.back().room);
      }
    }
    first_.push_back(runs_.size());
    int64_t* numbers = memory.numbers<int64_t>(pairs);
    double* room = memory.numbers<double>(rooms * Run::numbers_of_pair(in.radial));
    for (Run& run : runs_) {
      run.pairs = std::exchange(numbers, numbers + run.count);
      run.numbers = std::exchange(room, room + run.room * Run::numbers_of_pair(in.radial));
    }
  }

  // The largest `room` of any run.
  int64_t most() const { return most_; }

  // Calls body(run) for all runs of centre n.
  template <typename Body>
  void each(int64_t n, const Body& body) const {
    for (int64_t k = first_[n]; k < first_[n + 1]; ++k) body(runs_[k]);
  }

  // Sorts the pairs of a centre and fills its runs. scratch: room for 6 numbers of each pair of a run.
  void fill(int64_t n, double* scratch) {
    const int64_t atom = centres_.atoms[n];
    for (int64_t k = first_[n]; k < first_[n + 1]; ++k) runs_[k].count = 0;
    for (int64_t p = in_.pair_start[atom]; p < in_.pair_start[atom + 1]; ++p) {
      const int64_t neighbour = in_.pair_neighbour[p], type = in_.pair_type[p];
      int64_t k = first_[n];
      while (k < first_[n + 1] && runs_[k].type != type) ++k;
      require(0 <= neighbour && neighbour < in_.atoms && k < first_[n + 1] &&
                  runs_[k].count < in_.neighbour_counts[2 * in_.types * atom + type],
              "neighbours that are atoms of the batch, as many of each element as were counted");
      runs_[k].pairs[runs_[k].count++] = p;
    }
    for (int64_t k = first_[n]; k < first_[n + 1]; ++k) make(runs_[k], scratch);
  }

 private:
  void make(const Run& run, double* scratch) const {
    double* r = scratch;
    std::fill_n(run.functions().row(run.radial), 2 * (whole(run.radial, SUMS) - run.radial) * run.room, 0.0);
    for (int64_t a = 0; a < 3; ++a) {
      double *vector = run.vector(a), *spin = run.spin(a);
      for (int64_t k = 0; k < run.count; ++k) vector[k] = in_.vector[3 * run.pairs[k] + a];
      std::fill(vector + run.count, vector + run.room, 0.0);
      if (in_.magnetic[run.type])
        for (int64_t k = 0; k < run.count; ++k) spin[k] = in_.spin[3 * in_.pair_neighbour[run.pairs[k]] + a];
      std::fill(spin + (in_.magnetic[run.type] ? run.count : 0), spin + run.room, 0.0);
    }
    const double *x = run.vector(0), *y = run.vector(1), *z = run.vector(2);
    double* per_r = run.per_distance();
#pragma omp simd
    for (int64_t k = 0; k < run.room; ++k) {
      const double square = x[k] * x[k] + y[k] * y[k] + z[k] * z[k];
      r[k] = std::sqrt(square);
      per_r[k] = square > 0.0 ? 1.0 / r[k] : 0.0;
    }
    std::fill(r + run.count, r + run.room, 2.0 * in_.cutoff);
    make_functions(run, r, scratch + run.room);
  }

  // φ_k and φ'_k of distances r. Each Gaussian is the previous one times a ratio. About every twelfth Gaussian is computed
  // by exp, so that rounding errors of the products stay small.
  void make_functions(const Run& run, const double* r, double* scratch) const {
    const int64_t room = run.room, parts = (run.radial + 11) / 12;
    const double per_width = 1.0 / in_.width, per_cutoff = 1.0 / (in_.cutoff * in_.cutoff), fall = std::exp(-1.0);
    double *inside = scratch, *slope = inside + room, *x = slope + room, *gauss = x + room, *ratio = gauss + room;
    for (int64_t part = 0; part < parts; ++part) {
      const int64_t first = part * run.radial / parts, end = (part + 1) * run.radial / parts;
#pragma omp simd
      for (int64_t p = 0; p < room; ++p) {
        const double left = std::max(1.0 - r[p] * r[p] * per_cutoff, 0.0), place = (r[p] - in_.closest) * per_width;
        inside[p] = left * left * left;
        slope[p] = -6.0 * r[p] * per_cutoff * left * left;
        x[p] = std::min(std::max(place - double(first), -30.0), 30.0);  // exp(−30²/2) is negligible
        gauss[p] = exponential(-0.5 * x[p] * x[p]);
        ratio[p] = exponential(x[p] - 0.5);
      }
      for (int64_t k = first; k < end; ++k) {
        double *value = run.functions().row(k), *derivative = value + room;
#pragma omp simd
        for (int64_t p = 0; p < room; ++p) {
          value[p] = inside[p] * gauss[p];
          derivative[p] = slope[p] * gauss[p] - value[p] * (x[p] - double(k - first)) * per_width;
          gauss[p] *= ratio[p];
          ratio[p] *= fall;
        }
      }
    }
  }

  const spinpot_native_spin& in_;
  Centres centres_;
  std::vector<Run> runs_;
  std::vector<int64_t> first_;  // the first run of each centre
  int64_t most_ = 0;
};

}  // namespace spinpot
