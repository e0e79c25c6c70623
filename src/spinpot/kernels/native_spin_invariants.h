// The invariants of spinpot.models.native_spin.invariants with their derivatives, for the centres of one element. CENTRES
// centres form a group and are evaluated together.

#pragma once

#include "native_spin_pairs.h"

namespace spinpot {

// Numbers that are recomputed for each group. present (T,): whether the group has neighbours of an element. sums
// (T, K, C, CENTRES): sums over the neighbours of each element; not initialised if there are none. numbers (places,
// CENTRES). columns, by_columns, of_run: numbers of the pairs of one run.
struct Scratch {
  Borrowed memory = borrow();
  std::vector<char> present;
  double *sums, *numbers, *columns, *by_columns, *of_run;
};

class Invariants {
 public:
  // The caller has checked `in` and keeps it.
  explicit Invariants(const spinpot_native_spin& in) : in_(in), kinds_(all_kinds(in)), products_(in, given(in)) {
    int64_t place = FIRST;
    for (int64_t kind = 0; kind < KINDS; ++kind) {
      place_[kind] = place;
      first_[kind] = mixed_;
      mixed_ += kinds_.channels[kind];
      place += kinds_.channels[kind] * COMPONENTS[kind];
    }
  }

  static Kinds all_kinds(const spinpot_native_spin& in) {
    Kinds kinds;
    std::copy_n(in.channels, KINDS, kinds.channels);
    return kinds;
  }
  // Number of places before the sums of products.
  static int64_t given(const spinpot_native_spin& in) {
    int64_t place = FIRST;
    for (int64_t kind = 0; kind < KINDS; ++kind) place += in.channels[kind] * COMPONENTS[kind];
    return place;
  }
  const Products& products() const { return products_; }
  // The place of a kind's first channel.
  int64_t place(int64_t kind) const { return place_[kind]; }
  Kinds kinds(const Run& run) const { return kinds_.of_neighbours(in_.magnetic[run.type]); }

  // most: the largest `room` of any run.
  Scratch scratch(int64_t most) const {
    Scratch made;
    const int64_t columns = kinds_.columns();
    made.present.resize(in_.types);
    made.sums = made.memory->numbers<double>(in_.types * in_.radial * columns * CENTRES);
    made.numbers = made.memory->numbers<double>(in_.places * CENTRES);
    made.columns = made.memory->numbers<double>(whole(columns, LANES) * 2 * most);
    made.by_columns = made.memory->numbers<double>(whole(columns, LANES) * whole(in_.radial, SUMS));
    made.of_run = made.memory->numbers<double>(6 * most);
    return made;
  }

  // Fills numbers (places, CENTRES) and z (count, P) of a group. first: index of its first centre in `neighbours`.
  void evaluate(const Centres& group, int64_t first, Neighbours& neighbours, Scratch& scratch, double* numbers,
                const Matrix<double>& z) const {
    std::fill(scratch.present.begin(), scratch.present.end(), false);
    for (int64_t n = 0; n < group.count; ++n) {
      neighbours.fill(first + n, scratch.of_run);
      neighbours.each(first + n, [&](const Run& run) {
        const int64_t count = kinds(run).columns(), columns = whole(count, LANES);
        for (int64_t p = 0; p < run.room; p += LANES) {
          const Some some(run, p);
          Vector rho[MOST_COLUMNS];
          make_rho(kinds(run), some.u, some.S, rho);
          for (int64_t c = count; c < columns; ++c) rho[c] = Vector{};
          store_rows(rho, columns, scratch.columns + p * columns);
        }
        sum(run, run.room, n, scratch);
      });
    }
    std::fill_n(numbers, FIRST * CENTRES, 0.0);
    std::fill_n(numbers + ONE * CENTRES, CENTRES, 1.0);
    std::fill_n(numbers + MEAN_SQUARE * CENTRES, CENTRES, in_.moment_square[group.type]);
    fill_spins(group, in_.spin, 1.0, numbers);
    mix(group.type, scratch, numbers);
    products_.evaluate(numbers);
    each_invariant(group, z, numbers, [&](int64_t p, double& own, double value) {
      own = (value - of_element(in_.mean, group.type)[p]) * of_element(in_.scale, group.type)[p];
    });
  }

  // From by_z (count, P) computes the derivatives with respect to the sums, into scratch.sums, and with respect to the
  // moments, into scratch.numbers. Other arguments are those of `evaluate`.
  void pull_back(const Centres& group, int64_t first, const Neighbours& neighbours, Scratch& scratch,
                 const double* numbers, const Matrix<double>& by_z) const {
    std::fill(scratch.present.begin(), scratch.present.end(), false);
    for (int64_t n = 0; n < group.count; ++n)
      neighbours.each(first + n, [&](const Run& run) { scratch.present[run.type] = true; });
    std::fill_n(scratch.numbers, in_.places * CENTRES, 0.0);
    each_invariant(group, by_z, scratch.numbers, [&](int64_t p, double own, double& by) {
      by += own * of_element(in_.scale, group.type)[p];
    });
    products_.pull_back(numbers, scratch.numbers);
    each_mixed([&](int64_t t, int64_t kind) {
      if (scratch.present[t])
        multiply<double>(mixing(group.type, t, kind), channels(scratch.numbers, kind), sums(scratch, t, kind));
    });
  }

  // Fills the change of z (count, P) from the change of the sums, in scratch.sums, and from the change of the moments of
  // all atoms, `factor` times spin (A, 3).
  void push_forward(const Centres& group, const double* numbers, const double* spin, double factor, Scratch& scratch,
                    const Matrix<double>& change) const {
    std::fill_n(scratch.numbers, FIRST * CENTRES, 0.0);
    fill_spins(group, spin, factor, scratch.numbers);
    mix(group.type, scratch, scratch.numbers);
    products_.push_forward(numbers, scratch.numbers);
    each_invariant(group, change, scratch.numbers, [&](int64_t p, double& own, double value) {
      own = value * of_element(in_.scale, group.type)[p];
    });
  }

  // Fills the sums of centre n of a group: radial functions of a run times the rows of ρ in scratch.columns, over the first
  // `pairs` rows.
  void sum(const Run& run, int64_t pairs, int64_t n, Scratch& scratch) const {
    const auto to = of_centre(scratch, run, n);
    const int64_t next = 2 * run.room, columns = whole(to.columns, LANES);
    for (int64_t k = 0; k < to.rows; k += SUMS) {
      const double* functions = run.functions().row(k);
      double* out = scratch.by_columns + k * columns;
      int64_t c = 0;
      for (; c + LANES < columns; c += 2 * LANES)
        sum_over_pairs<2>(functions, next, pairs, scratch.columns + c, columns, out + c);
      if (c < columns) sum_over_pairs<1>(functions, next, pairs, scratch.columns + c, columns, out + c);
    }
    for (int64_t k = 0; k < to.rows; ++k)
      for (int64_t c = 0; c < to.columns; ++c) *to.at(k, c) = scratch.by_columns[k * columns + c];
  }

  // The sums (K, C) of centre n of a group over the neighbours of a run. The first access sets those of the group to zero.
  Matrix<double> of_centre(Scratch& scratch, const Run& run, int64_t n) const {
    const int64_t columns = kinds_.columns(), size = in_.radial * columns * CENTRES;
    double* first = scratch.sums + run.type * size;
    if (!scratch.present[run.type]) std::fill_n(first, size, 0.0);
    scratch.present[run.type] = true;
    return {first + n, in_.radial, kinds(run).columns(), columns * CENTRES, CENTRES};
  }

  // V (K, M) for a centre element and a neighbour element, with the channels of such neighbours.
  Matrix<const double> mixing(int64_t centre, int64_t t) const {
    const int64_t has = in_.magnetic[t] ? mixed_ : first_[MOMENT];
    return {in_.mixing + (centre * in_.types + t) * in_.radial * mixed_, in_.radial, has, mixed_, 1};
  }

 private:
  const double* of_element(const double* numbers, int64_t type) const { return numbers + type * in_.invariants; }

  // Calls body(p, z of a centre, number at the invariant's place) for all invariants p of all centres.
  template <typename T, typename Body>
  void each_invariant(const Centres& group, const Matrix<T>& z, double* numbers, const Body& body) const {
    for (int64_t n = 0; n < group.count; ++n)
      for (int64_t p = 0; p < in_.invariants; ++p) body(p, z.row(n)[p], numbers[in_.features[p] * CENTRES + n]);
  }

  void fill_spins(const Centres& group, const double* spin, double factor, double* numbers) const {
    if (!in_.magnetic[group.type]) return;
    for (int64_t n = 0; n < group.count; ++n)
      for (int64_t a = 0; a < 3; ++a) numbers[(SPIN + a) * CENTRES + n] = factor * spin[3 * group.atoms[n] + a];
  }

  Matrix<const double> mixing(int64_t centre, int64_t t, int64_t kind) const {
    return mixing(centre, t).part(0, in_.radial, first_[kind], kinds_.channels[kind]);
  }

  // The channels of a kind, (channels, components × CENTRES), and its sums, (K, components × CENTRES).
  Matrix<double> channels(double* numbers, int64_t kind) const {
    return matrix(numbers + place_[kind] * CENTRES, kinds_.channels[kind], COMPONENTS[kind] * CENTRES);
  }
  Matrix<double> sums(const Scratch& scratch, int64_t t, int64_t kind) const {
    const int64_t columns = kinds_.columns();
    return {scratch.sums + (t * in_.radial * columns + kinds_.columns(kind)) * CENTRES, in_.radial,
            COMPONENTS[kind] * CENTRES, columns * CENTRES, 1};
  }

  // Calls body(neighbour element, kind) for all kinds of sums over the neighbours of each element.
  template <typename Body>
  void each_mixed(const Body& body) const {
    for (int64_t kind = 0; kind < KINDS; ++kind)
      for (int64_t t = 0; t < in_.types; ++t)
        if (kinds_.of_neighbours(in_.magnetic[t]).has(kind)) body(t, kind);
  }

  // Fills the channels from the sums.
  void mix(int64_t type, const Scratch& scratch, double* numbers) const {
    std::fill_n(numbers + FIRST * CENTRES, (given(in_) - FIRST) * CENTRES, 0.0);
    each_mixed([&](int64_t t, int64_t kind) {
      if (scratch.present[t])
        multiply<double>(mixing(type, t, kind).transposed(), sums(scratch, t, kind), channels(numbers, kind), true);
    });
  }

  const spinpot_native_spin& in_;
  Kinds kinds_;
  Products products_;
  // For each kind: the place of its first number, and the index of its first channel. mixed_: number of all channels.
  int64_t place_[KINDS], first_[KINDS], mixed_ = 0;
};

}  // namespace spinpot
