// The native-spin model: energies with all first derivatives, and the gradients of a loss that depends on them. Formulas
// and names are those of spinpot.models.native_spin.

#include <cmath>
#include <memory>
#include <numeric>

#include "fitting.h"
#include "native_spin_rows.h"

namespace spinpot {

namespace {

// Number of atoms evaluated together if nothing is kept for the backward pass: small, so that their numbers stay in the
// caches.
constexpr int64_t BLOCK = 2 * CENTRES > 32 ? 2 * CENTRES : 32;

// The gradients of a loss with respect to the parameters.
struct Gradients {
  double* linear;
  void* const* hidden;
  void *last_weight, *last_bias;
};

// The net of one element, evaluated for n atoms of it.
struct AnyNet {
  virtual ~AnyNet() = default;
  // Fills the net's value (n,) for inputs z (n, P), and its slope (n, P) unless that has no rows. keep: whether to keep what
  // `backward` needs.
  virtual void evaluate(Workspace& memory, const Matrix<double>& z, double* value, const Matrix<double>& slope,
                        bool keep) = 0;
  // Fills the gradients of a loss from its derivatives with respect to value and slope.
  virtual void backward(Workspace& memory, const double* by_value, const Matrix<double>& by_slope,
                        const Gradients& by) = 0;
};

template <typename T>
class Net final : public AnyNet {
 public:
  Net(const spinpot_native_spin& in, int64_t type)
      : in_(in),
        net_({in.last_weight, in.last_bias, {in.widths, in.layers, in.hidden}}, type,
             {in.activation, in.threshold}, {in.invariants, 1, 0}) {}

  void evaluate(Workspace& memory, const Matrix<double>& z, double* value, const Matrix<double>& slope,
                bool keep) override {
    const auto rows = matrix<T>(memory, 2 * z.rows, z.columns), by_z = matrix<T>(memory, slope.rows, z.columns);
    T* energy = memory.numbers<T>(z.rows);
    std::copy_n(z.numbers, z.rows * z.columns, rows.numbers);
    states_ = net_.evaluate(memory, rows, energy, by_z, keep);
    std::copy_n(energy, z.rows, value);
    std::copy_n(by_z.numbers, by_z.rows * z.columns, slope.numbers);
  }

  void backward(Workspace& memory, const double* by_value, const Matrix<double>& by_slope,
                const Gradients& by) override {
    T* by_energy = memory.numbers<T>(by_slope.rows);
    std::copy_n(by_value, by_slope.rows, by_energy);
    std::copy_n(by_slope.numbers, by_slope.rows * by_slope.columns, states_.layers[0].inputs.lower().numbers);
    net_.backward(memory, states_, by_energy, {},
                  {by.last_weight, by.last_bias, {in_.widths, in_.layers, by.hidden}});
  }

 private:
  const spinpot_native_spin& in_;
  FittingNet<T> net_;
  FittingStates<T> states_;
};

class NativeSpin {
 public:
  // keep: whether to keep the data that `backward` needs.
  NativeSpin(const spinpot_native_spin& in, bool keep)
      : in_(in),
        keep_(keep),
        memory_(borrow()),
        invariants_(in_),
        centres_(blocks_of(in.types, in.type_sizes, in.atom_order, keep ? 0 : BLOCK)),
        blocks_(centres_.size()) {}

  int64_t threads() const { return in_.threads; }

  void forward(const spinpot_derivatives& out) {
    const auto forces = forces_of_threads<double>(out, in_.atoms, in_.frames, *memory_);
    for (size_t n = 0; n < (keep_ ? blocks_.size() : forces.size()); ++n) memories_.push_back(borrow());
    each_block(centres_, [&](int64_t b, int64_t thread) {
      Workspace& memory = *memories_[keep_ ? b : thread];
      if (!keep_) memory.rewind();
      evaluate(centres_[b], blocks_[b], memory, static_cast<double*>(out.energy), &forces[thread]);
      if (!keep_) blocks_[b] = {};
    });
    add_up(forces, in_.atoms, in_.frames);
  }

  void backward(const spinpot_derivatives& by, const Gradients& gradients) {
    each_block(centres_, [&](int64_t b, int64_t) { differentiate(centres_[b], blocks_[b], by, gradients); });
  }

 private:
  // Data of n atoms of one element. numbers: those of each group of centres. z, by_z: z and ∂E/∂z. value: of the net. seen:
  // the net's input x. slope: ∂net/∂x. shrink: ∂x/∂z. Matrices are (n, P).
  struct Block {
    std::unique_ptr<Neighbours> neighbours;
    std::unique_ptr<AnyNet> net;
    double *numbers, *value;
    Matrix<double> z, by_z, seen, slope, shrink;
  };

  // Calls body(centres, index of the first centre, numbers, scratch, thread) for each group of a block.
  template <typename Body>
  void each_group(const Centres& centres, const Block& here, const Body& body) const {
    const int64_t groups = (centres.count + CENTRES - 1) / CENTRES;
    parallel_parts(groups, 1, [&](int64_t begin, int64_t end, int64_t thread) {
      Scratch scratch = invariants_.scratch(here.neighbours->most());
      for (int64_t g = begin; g < end; ++g) {
        const int64_t first = g * CENTRES, count = std::min(CENTRES, centres.count - first);
        body(Centres{centres.type, count, centres.atoms + first}, first, here.numbers + first * in_.places, scratch,
             thread);
      }
    });
  }

  const double* of_element(const double* numbers, int64_t type) const { return numbers + type * in_.invariants; }

  // Computes energies, and adds to the forces of each thread unless these are null.
  void evaluate(const Centres& centres, Block& here, Workspace& memory, double* energy,
                const Forces<double>* forces) const {
    const int64_t n = centres.count, groups = (n + CENTRES - 1) / CENTRES;
    here.neighbours = std::make_unique<Neighbours>(in_, centres, memory);
    here.numbers = memory.numbers<double>(groups * in_.places * CENTRES);
    here.z = matrix<double>(memory, n, in_.invariants);
    here.by_z = matrix<double>(memory, n, in_.invariants);
    each_group(centres, here, [&](const Centres& group, int64_t first, double* numbers, Scratch& scratch, int64_t) {
      invariants_.evaluate(group, first, *here.neighbours, scratch, numbers, here.z.of_rows(first, group.count));
    });
    if (in_.last_weight) evaluate_net(centres, here, memory, forces->force);
    for (int64_t i = 0; i < n; ++i) energy[centres.atoms[i]] = energy_of(centres.type, here, i);
    if (!forces->force) return;
    for (int64_t i = 0; i < n; ++i) fill_slope(centres.type, here, i);
    each_group(centres, here,
               [&](const Centres& group, int64_t first, double* numbers, Scratch& scratch, int64_t thread) {
                 invariants_.pull_back(group, first, *here.neighbours, scratch, numbers,
                                       here.by_z.of_rows(first, group.count));
                 add_derivatives(group, first, *here.neighbours, scratch, forces[thread]);
               });
  }

  void evaluate_net(const Centres& centres, Block& here, Workspace& memory, bool with_slope) const {
    const int64_t n = centres.count;
    if (in_.single)
      here.net = std::make_unique<Net<float>>(in_, centres.type);
    else
      here.net = std::make_unique<Net<double>>(in_, centres.type);
    here.value = memory.numbers<double>(n);
    for (Matrix<double>* numbers : {&here.seen, &here.slope, &here.shrink})
      *numbers = matrix<double>(memory, n, in_.invariants);
    const double *centre = of_element(in_.centre, centres.type), *nearness = of_element(in_.nearness, centres.type);
    for (int64_t i = 0; i < n; ++i) {
      const double* z = here.z.row(i);
      double *seen = here.seen.row(i), *shrink = here.shrink.row(i);
      for (int64_t p = 0; p < in_.invariants; ++p) {
        const double away = z[p] - centre[p], part = 1.0 / std::sqrt(1.0 + nearness[p] * away * away);
        seen[p] = centre[p] + part * away;
        shrink[p] = part * part * part;
      }
    }
    here.net->evaluate(memory, here.seen, here.value, here.slope.of_rows(0, with_slope ? n : 0), keep_);
  }

  // ε [w·z + net(x)] of one atom.
  double energy_of(int64_t type, const Block& here, int64_t i) const {
    const double *weight = of_element(in_.linear, type), *z = here.z.row(i);
    double energy = 0.0;
    for (int64_t p = 0; p < in_.invariants; ++p) energy += weight[p] * z[p];
    return in_.energy_scale * (in_.last_weight ? energy + here.value[i] : energy);
  }

  // ∂E/∂z of one atom.
  void fill_slope(int64_t type, const Block& here, int64_t i) const {
    const double* weight = of_element(in_.linear, type);
    double* by_z = here.by_z.row(i);
    if (!in_.last_weight) {
      for (int64_t p = 0; p < in_.invariants; ++p) by_z[p] = in_.energy_scale * weight[p];
      return;
    }
    const double *slope = here.slope.row(i), *shrink = here.shrink.row(i);
    for (int64_t p = 0; p < in_.invariants; ++p) by_z[p] = in_.energy_scale * (weight[p] + shrink[p] * slope[p]);
  }

  // Adds the forces of a group, computed from the derivatives with respect to its sums and moments in `scratch`.
  void add_derivatives(const Centres& group, int64_t first, const Neighbours& neighbours, Scratch& scratch,
                       const Forces<double>& forces) const {
    for (int64_t n = 0; n < group.count; ++n) {
      const int64_t i = group.atoms[n];
      if (in_.magnetic[group.type])
        for (int64_t a = 0; a < 3; ++a) forces.force_mag[3 * i + a] -= scratch.numbers[(SPIN + a) * CENTRES + n];
      neighbours.each(first + n, [&](const Run& run) {
        pull_back(run, n, scratch);
        add_pairs(run, i, scratch.of_run, forces);
      });
    }
  }

  // Fills ∂E/∂d and ∂E/∂S (6, room) of the pairs of a run, from the derivatives with respect to the sums of centre n.
  void pull_back(const Run& run, int64_t n, Scratch& scratch) const {
    const Kinds kinds = invariants_.kinds(run);
    const Matrix<double> by_sums = invariants_.of_centre(scratch, run, n).transposed();
    const auto own = matrix(scratch.by_columns, by_sums.rows, by_sums.columns);
    for (int64_t c = 0; c < own.rows; ++c)
      for (int64_t k = 0; k < own.columns; ++k) own.row(c)[k] = *by_sums.at(c, k);
    const auto z = matrix(scratch.columns, own.rows, 2 * run.room);  // Σ_k φ_k y_kc and Σ_k φ'_k y_kc
    multiply<double>(own, run.functions(), z);
    for (int64_t p = 0; p < run.room; p += LANES) {
      const Some some(run, p);
      Vector rho[MOST_COLUMNS], by_rho[MOST_COLUMNS], by_u[3], by_S[3], along = {};
      make_rho(kinds, some.u, some.S, rho);
      for (int64_t c = 0; c < z.rows; ++c) {
        by_rho[c] = load(z.row(c) + p);
        along += load(z.row(c) + run.room + p) * rho[c];
      }
      pull_back_rho(kinds, by_rho, some.u, some.S, by_u, by_S);
      along -= dot(some.u, by_u) * some.per_r;
      for (int64_t a = 0; a < 3; ++a) {
        store(scratch.of_run + a * run.room + p, some.u[a] * along + by_u[a] * some.per_r);
        store(scratch.of_run + (3 + a) * run.room + p, by_S[a]);
      }
    }
  }

  void add_pairs(const Run& run, int64_t i, const double* by, const Forces<double>& forces) const {
    double* virial = forces.virial + 9 * in_.frame[i];
    for (int64_t k = 0; k < run.count; ++k) {
      const int64_t p = run.pairs[k], j = in_.pair_neighbour[p];
      for (int64_t a = 0; a < 3; ++a) {
        const double g = by[a * run.room + k];
        forces.force[3 * i + a] += g;
        forces.force[3 * j + a] -= g;
        for (int64_t b = 0; b < 3; ++b) virial[3 * a + b] -= g * in_.vector[3 * p + b];
        if (in_.magnetic[run.type]) forces.force_mag[3 * j + a] -= by[(3 + a) * run.room + k];
      }
    }
  }

  // Fills the gradients of the loss. Its derivatives with respect to forces, magnetic forces and virial are taken as changes
  // of pair vectors and moments, which change z by δz. The gradients are those of Σ_i [∂L/∂E_i E_i + ∂E_i/∂z · δz_i].
  void differentiate(const Centres& centres, Block& here, const spinpot_derivatives& by,
                     const Gradients& gradients) const {
    const Borrowed memory = borrow();
    const auto change = matrix<double>(*memory, centres.count, in_.invariants);
    const auto* by_force_mag = static_cast<const double*>(by.force_mag);
    each_group(centres, here, [&](const Centres& group, int64_t first, double* numbers, Scratch& scratch, int64_t) {
      std::fill(scratch.present.begin(), scratch.present.end(), false);
      for (int64_t n = 0; n < group.count; ++n)
        here.neighbours->each(first + n, [&](const Run& run) {
          changes_of_pairs(run, group.atoms[n], by, scratch.of_run);
          push_forward(run, n, scratch);
        });
      invariants_.push_forward(group, numbers, by_force_mag, -1.0, scratch, change.of_rows(first, group.count));
    });
    const auto* by_energy = static_cast<const double*>(by.energy);
    if (gradients.linear) by_linear(centres, here, by_energy, change, gradients.linear);
    if (here.net) by_net(*memory, centres, here, by_energy, change, gradients);
  }

  // Fills the changes (6, room) of the vectors and of the neighbours' moments, for the pairs of a run.
  void changes_of_pairs(const Run& run, int64_t i, const spinpot_derivatives& by, double* out) const {
    const auto *force = static_cast<const double*>(by.force), *force_mag = static_cast<const double*>(by.force_mag);
    const double* strain = static_cast<const double*>(by.virial) + 9 * in_.frame[i];
    std::fill_n(out, 6 * run.room, 0.0);
    for (int64_t k = 0; k < run.count; ++k) {
      const int64_t p = run.pairs[k], j = in_.pair_neighbour[p];
      const double* d = in_.vector + 3 * p;
      for (int64_t a = 0; a < 3; ++a) {
        const double strained = strain[3 * a] * d[0] + strain[3 * a + 1] * d[1] + strain[3 * a + 2] * d[2];
        out[a * run.room + k] = force[3 * i + a] - force[3 * j + a] - strained;
        if (in_.magnetic[run.type]) out[(3 + a) * run.room + k] = -force_mag[3 * j + a];
      }
    }
  }

  // Fills the change of the sums of centre n, from the changes (6, room) of the pairs of a run.
  void push_forward(const Run& run, int64_t n, Scratch& scratch) const {
    const Kinds kinds = invariants_.kinds(run);
    const int64_t count = kinds.columns(), columns = whole(count, LANES);
    const auto rows = matrix(scratch.columns, 2 * run.room, columns);  // factors of φ above those of φ'
    for (int64_t p = 0; p < run.room; p += LANES) {
      const Some some(run, p);
      Vector d[3];
      for (int64_t a = 0; a < 3; ++a) d[a] = load(scratch.of_run + a * run.room + p);
      const Vector along = dot(some.u, d);
      Change u[3], S[3], rho[MOST_COLUMNS];
      for (int64_t a = 0; a < 3; ++a) {
        u[a] = {some.u[a], (d[a] - some.u[a] * along) * some.per_r};
        S[a] = {some.S[a], load(scratch.of_run + (3 + a) * run.room + p)};
      }
      make_rho(kinds, u, S, rho);
      Vector changes[MOST_COLUMNS], values[MOST_COLUMNS];
      for (int64_t c = 0; c < count; ++c) {
        changes[c] = rho[c].change;
        values[c] = rho[c].value * along;
      }
      for (int64_t c = count; c < columns; ++c) changes[c] = values[c] = Vector{};
      store_rows(changes, columns, rows.row(p));
      store_rows(values, columns, rows.row(run.room + p));
    }
    invariants_.sum(run, 2 * run.room, n, scratch);
  }

  void by_linear(const Centres& centres, const Block& here, const double* by_energy, const Matrix<double>& change,
                 double* out) const {
    double* by = out + centres.type * in_.invariants;
    std::fill_n(by, in_.invariants, 0.0);
    for (int64_t i = 0; i < centres.count; ++i) {
      const double own = by_energy[centres.atoms[i]], *z = here.z.row(i), *dz = change.row(i);
      for (int64_t p = 0; p < in_.invariants; ++p) by[p] += in_.energy_scale * (own * z[p] + dz[p]);
    }
  }

  // change: δz; it is overwritten by the derivative of the loss with respect to the net's slope.
  void by_net(Workspace& memory, const Centres& centres, Block& here, const double* by_energy,
              const Matrix<double>& change, const Gradients& gradients) const {
    double* by_value = memory.numbers<double>(centres.count);
    for (int64_t i = 0; i < centres.count; ++i) {
      const double* shrink = here.shrink.row(i);
      double* dz = change.row(i);
      for (int64_t p = 0; p < in_.invariants; ++p) dz[p] *= in_.energy_scale * shrink[p];
      by_value[i] = in_.energy_scale * by_energy[centres.atoms[i]];
    }
    here.net->backward(memory, by_value, change, gradients);
  }

  const spinpot_native_spin in_;
  bool keep_;
  Borrowed memory_;
  Invariants invariants_;
  std::vector<Centres> centres_;  // one for each block
  std::vector<Block> blocks_;
  std::vector<Borrowed> memories_;  // one for each block; one for each thread if nothing is kept
};

// Checks sizes and indices, so that no array is read past its end. Pairs are checked when they are read.
void check(const spinpot_native_spin& in) {
  constexpr int64_t most = int64_t(1) << 40;
  const int64_t sizes[] = {in.types - 1, in.atoms,      in.frames, in.pairs, in.radial - 1,
                           in.terms,     in.invariants, in.places, in.layers};
  require(within(sizes, std::size(sizes), most), "sizes that are not negative");
  require(within(in.channels, KINDS, most), "channels of each kind");
  require(in.cutoff > 0.0 && in.width > 0.0, "radial functions of some width");
  check_batch(in);
  const int64_t given = Invariants::given(in);
  require(given <= in.places && within(in.features, in.invariants, in.places), "places of the invariants");
  require(std::is_sorted(in.sum, in.sum + in.terms), "sums in the order in which they are made");
  for (int64_t n = 0; n < in.terms; ++n)
    require(given <= in.sum[n] && in.sum[n] < in.places && within(in.factors + 3 * n, 3, in.sum[n]),
            "products of numbers before them");
  if (!in.last_weight) return;
  require(in.layers > 0 && in.widths[0] == in.invariants &&
              std::all_of(in.widths, in.widths + in.layers + 1, [](int64_t n) { return n > 0; }),
          "layers of some width, the first one of the invariants");
}

}  // namespace

}  // namespace spinpot

using namespace spinpot;

int spinpot_native_spin_forward(const spinpot_native_spin* in, const spinpot_derivatives* out, void** kept) {
  return guarded(in->threads, [&] {
    require(out->force || !kept || in->atoms == 0, "derivatives, too, where something is kept");
    check(*in);
    auto model = std::make_unique<NativeSpin>(*in, kept != nullptr);
    model->forward(*out);
    if (kept) *kept = model.release();
  });
}

int spinpot_native_spin_backward(void* kept, const spinpot_derivatives* by, double* linear, void* const* hidden,
                                 void* last_weight, void* last_bias) {
  auto* model = static_cast<NativeSpin*>(kept);
  return guarded(model->threads(), [&] { model->backward(*by, {linear, hidden, last_weight, last_bias}); });
}

void spinpot_native_spin_free(void* kept) { delete static_cast<NativeSpin*>(kept); }

int spinpot_native_spin_rows(const spinpot_native_spin* in, const spinpot_derivatives* out) {
  return guarded(in->threads, [&] {
    check(*in);
    Rows(*in).fill(*out);
  });
}
