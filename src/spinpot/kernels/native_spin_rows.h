// The predictions of single weights of the native-spin model, as in spinpot.models.native_spin.rows.

#pragma once

#include "native_spin_invariants.h"

namespace spinpot {

// Which derivatives of the invariants with respect to channels and moments are not zero. They are the same for all centres.
struct Pattern {
  // An invariant. terms: its terms of the table, including those of sums in it, the last one first. begin, end: range of
  // its derivatives in `places`. plain, magnetic: whether it depends on channels without, or with, neighbours' moments.
  struct Feature {
    std::vector<int64_t> terms;
    int64_t begin, end;
    bool plain, magnetic;
  };
  std::vector<Feature> features;
  std::vector<int64_t> places;  // for each derivative, the place of the number

  Pattern(const spinpot_native_spin& in, int64_t given, int64_t first_magnetic) {
    std::vector<char> needed(in.places);
    for (int64_t p = 0; p < in.invariants; ++p) {
      std::fill(needed.begin(), needed.end(), 0);
      needed[in.features[p]] = 1;
      Feature feature{{}, int64_t(places.size()), 0, false, false};
      for (int64_t n = in.terms; n-- > 0;) {
        if (!needed[in.sum[n]]) continue;
        feature.terms.push_back(n);
        for (int64_t k = 0; k < 3; ++k) needed[in.factors[3 * n + k]] = 1;
      }
      for (int64_t place = SPIN; place < given; ++place) {
        if (!needed[place]) continue;
        places.push_back(place);
        (place < first_magnetic ? feature.plain : feature.magnetic) |= place >= FIRST;
      }
      feature.end = places.size();
      features.push_back(std::move(feature));
    }
  }
};

class Rows {
 public:
  // The caller has checked `in` and keeps it.
  explicit Rows(const spinpot_native_spin& in)
      : in_(in), invariants_(in), given_(Invariants::given(in)),
        pattern_(in, given_, invariants_.place(MOMENT)), columns_(in.types * in.invariants) {}

  void fill(const spinpot_derivatives& out) const {
    const Outputs to{static_cast<double*>(out.energy), static_cast<double*>(out.force),
                     static_cast<double*>(out.force_mag), static_cast<double*>(out.virial)};
    std::fill_n(to.energy, in_.frames * columns_, 0.0);
    std::fill_n(to.force, in_.atoms * 3 * columns_, 0.0);
    std::fill_n(to.force_mag, in_.atoms * 3 * columns_, 0.0);
    std::fill_n(to.virial, in_.frames * 9 * columns_, 0.0);
    // The rows of one element in one structure are written only by its centres, so these form one part of the loop.
    std::vector<Centres> parts;
    for (const Centres& all : blocks_of(in_.types, in_.type_sizes, in_.atom_order, 0))
      for (int64_t n = 0; n < all.count; ++n) {
        const int64_t i = all.atoms[n], frame = in_.frame[i], before = n ? in_.frame[all.atoms[n - 1]] : -1;
        const auto here = [&](int64_t j) { return 0 <= j && j < in_.atoms && in_.frame[j] == frame; };
        require(before <= frame, "atoms of each element sorted by their structures");
        require(std::all_of(in_.pair_neighbour + in_.pair_start[i], in_.pair_neighbour + in_.pair_start[i + 1], here),
                "neighbours in the same structure");
        if (before < frame) parts.push_back({all.type, 0, all.atoms + n});
        ++parts.back().count;
      }
    parallel(parts.size(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) add(parts[part], to);
    });
  }

 private:
  struct Outputs {
    double *energy, *force, *force_mag, *virial;
  };

  // Numbers that are recomputed for each run or centre. mixed: ψ_m = Σ_k V_km φ_k and its derivatives (M, 2 room). changes:
  // of the channels. derivatives: of z with respect to the places of the pattern, for a centre; group_derivatives: for a
  // group. sums (4, P): Σ ∂z/∂d over the pairs of a run, and Σ ∂z/∂d ⊗ d.
  struct Work {
    Borrowed memory = borrow();
    double *mixed, *derivatives, *group_derivatives;
    Vector *changes, *sums;
  };

  void add(const Centres& centres, const Outputs& out) const {
    const Borrowed memory = borrow();
    Neighbours neighbours(in_, centres, *memory);
    Scratch scratch = invariants_.scratch(neighbours.most());
    Work work;
    work.mixed = work.memory->numbers<double>(std::max<int64_t>(1, given_) * 2 * neighbours.most());
    work.derivatives = work.memory->numbers<double>(pattern_.places.size());
    work.group_derivatives = work.memory->numbers<double>(pattern_.places.size() * CENTRES);
    work.changes = reinterpret_cast<Vector*>(work.memory->numbers<double>(given_ * LANES));
    work.sums = reinterpret_cast<Vector*>(work.memory->numbers<double>(4 * in_.invariants * LANES));
    double* numbers = memory->numbers<double>(in_.places * CENTRES);
    const auto z = matrix<double>(*memory, CENTRES, in_.invariants);
    for (int64_t first = 0; first < centres.count; first += CENTRES) {
      const Centres group{centres.type, std::min(CENTRES, centres.count - first), centres.atoms + first};
      invariants_.evaluate(group, first, neighbours, scratch, numbers, z);
      differentiate(group.type, numbers, scratch.numbers, work.group_derivatives);
      for (int64_t n = 0; n < group.count; ++n) {
        for (size_t e = 0; e < pattern_.places.size(); ++e)
          work.derivatives[e] = work.group_derivatives[e * CENTRES + n];
        add_own(group, n, z.row(n), work, out);
        neighbours.each(first + n, [&](const Run& run) { add_run(group, n, run, work, out); });
      }
    }
  }

  // Fills the derivatives of z with respect to the places of the pattern, for CENTRES centres. by: scratch of the size of
  // `numbers`.
  void differentiate(int64_t type, const double* numbers, double* by, double* out) const {
    for (int64_t p = 0; p < in_.invariants; ++p) {
      const auto& feature = pattern_.features[p];
      const auto clear = [&](int64_t place) { std::fill_n(by + place * CENTRES, CENTRES, 0.0); };
      for (int64_t e = feature.begin; e < feature.end; ++e) clear(pattern_.places[e]);
      for (int64_t n : feature.terms) clear(in_.sum[n]);
      std::fill_n(by + in_.features[p] * CENTRES, CENTRES, in_.scale[type * in_.invariants + p]);
      for (int64_t n : feature.terms) invariants_.products().pull_back(n, numbers, by);
      for (int64_t e = feature.begin; e < feature.end; ++e)
        std::copy_n(by + pattern_.places[e] * CENTRES, CENTRES, out + e * CENTRES);
    }
  }

  double* column(double* rows, int64_t row, int64_t type) const {
    return rows + row * columns_ + type * in_.invariants;
  }

  // Adds the energy, and the derivatives with respect to the centre's own moment.
  void add_own(const Centres& group, int64_t n, const double* z, const Work& work, const Outputs& out) const {
    const int64_t i = group.atoms[n];
    double* energy = column(out.energy, in_.frame[i], group.type);
    for (int64_t p = 0; p < in_.invariants; ++p) energy[p] += z[p];
    if (!in_.magnetic[group.type]) return;
    for (int64_t p = 0; p < in_.invariants; ++p)
      for (int64_t e = pattern_.features[p].begin; e < pattern_.features[p].end; ++e)
        if (pattern_.places[e] < FIRST)
          column(out.force_mag, 3 * i + pattern_.places[e] - SPIN, group.type)[p] -= work.derivatives[e];
  }

  void add_run(const Centres& group, int64_t n, const Run& run, const Work& work, const Outputs& out) const {
    const int64_t i = group.atoms[n], size = in_.invariants;
    const bool magnetic = in_.magnetic[run.type];
    const auto mixing = invariants_.mixing(group.type, run.type);
    multiply<double>(mixing.transposed(), run.functions(), matrix(work.mixed, mixing.columns, 2 * run.room));
    for (int64_t way = 0; way < (magnetic ? 6 : 3); ++way) {
      const bool of_spin = way >= 3;
      std::fill_n(work.sums, 4 * size, Vector{});
      double* rows = of_spin ? out.force_mag : out.force;
      for (int64_t k = 0; k < run.room; k += LANES) {
        make_changes(run, k, way, work);
        Vector d[3];
        for (int64_t b = 0; b < 3; ++b) d[b] = load(run.vector(b) + k);
        double* to[LANES];
        for (int64_t lane = 0; lane < LANES; ++lane) {
          const int64_t j = in_.pair_neighbour[run.pairs[std::min(k + lane, run.count - 1)]];
          to[lane] = column(rows, 3 * j + way % 3, group.type);
        }
        for (int64_t p = 0; p < size; ++p) {
          const auto& feature = pattern_.features[p];
          if (of_spin ? !feature.magnetic : !(feature.plain || (magnetic && feature.magnetic))) continue;
          Vector change = {};
          for (int64_t e = feature.begin; e < feature.end; ++e)
            change += work.derivatives[e] * work.changes[pattern_.places[e]];
          for (int64_t lane = 0; lane < LANES; ++lane) to[lane][p] -= change[lane];
          if (of_spin) continue;
          work.sums[p] += change;
          for (int64_t b = 0; b < 3; ++b) work.sums[(1 + b) * size + p] += change * d[b];
        }
      }
      if (!of_spin) add_sums(group.type, i, way, work, out);
    }
  }

  // Fills the derivatives of the centre's channels with respect to one component of one vector of pairs. way: 0, 1, 2 are
  // components of the pair vectors; 3, 4, 5 those of the neighbours' moments.
  void make_changes(const Run& run, int64_t k, int64_t way, const Work& work) const {
    const Kinds kinds = invariants_.kinds(run);
    const Some some(run, k);
    const Vector along = way < 3 ? some.u[way] : Vector{};
    Change u[3], S[3], rho[MOST_COLUMNS], *next = rho;
    for (int64_t a = 0; a < 3; ++a) {
      u[a] = {some.u[a], ((a == way ? 1.0 : 0.0) - some.u[a] * along) * some.per_r};
      S[a] = {some.S[a], Vector{} + (a + 3 == way ? 1.0 : 0.0)};
    }
    if (way >= 3)
      for (Change& component : u) component.change = Vector{};
    make_rho(kinds, u, S, rho);
    std::fill_n(work.changes, given_, Vector{});
    const double* mixed = work.mixed + k;
    Vector* change = work.changes + FIRST;
    for (int64_t kind = 0; kind < KINDS; ++kind) {
      const int64_t components = COMPONENTS[kind];
      for (int64_t m = 0; m < kinds.channels[kind]; ++m, mixed += 2 * run.room, change += components) {
        const Vector value = load(mixed), slope = load(mixed + run.room) * along;
        for (int64_t c = 0; c < components; ++c) change[c] = value * next[c].change + slope * next[c].value;
      }
      if (kinds.has(kind)) next += components;
    }
  }

  void add_sums(int64_t type, int64_t i, int64_t way, const Work& work, const Outputs& out) const {
    const int64_t size = in_.invariants;
    const auto sum = [](const Vector& all) {
      double total = 0.0;
      for (int64_t lane = 0; lane < LANES; ++lane) total += all[lane];
      return total;
    };
    double* force = column(out.force, 3 * i + way, type);
    for (int64_t p = 0; p < size; ++p) force[p] += sum(work.sums[p]);
    for (int64_t b = 0; b < 3; ++b) {
      double* virial = column(out.virial, 9 * in_.frame[i] + 3 * way + b, type);
      for (int64_t p = 0; p < size; ++p) virial[p] -= sum(work.sums[(1 + b) * size + p]);
    }
  }

  const spinpot_native_spin& in_;
  Invariants invariants_;
  int64_t given_;
  Pattern pattern_;
  int64_t columns_;  // length of a row, T P
};

}  // namespace spinpot
