#include "exchange.h"

#include <cmath>

#include "exchange_terms.h"

namespace spinpot {

namespace {

constexpr int64_t SHARE = 16;  // number of centres that a thread takes at a time

// Evaluates centres one after the other; each thread has its own.
class Site {
 public:
  // The caller keeps both arguments.
  Site(const spinpot_exchange& in, const Coefficients& coefficients)
      : in_(in), of_(coefficients), pair_basis_{in.cutoff, in.radial}, field_basis_{in.cutoff, in.fields},
        runs_(in.types) {}

  // Makes room for the pairs of these centres.
  void reserve(const Centres& centres) {
    int64_t most = 0;
    for (int64_t n = 0; n < centres.count; ++n)
      most = std::max(most, in_.pair_start[centres.atoms[n] + 1] - in_.pair_start[centres.atoms[n]]);
    const int64_t room = most + in_.types * (LANES - 1);
    if (room <= most_) return;
    memory_->rewind();
    most_ = room;
    numbers_ = memory_->numbers<double>(ROWS * room);
    gaussians_ = memory_->numbers<double>(2 * std::max(pair_basis_.parts(), field_basis_.parts()) * room);
    functions_ = memory_->numbers<double>(2 * (in_.linear ? in_.fields : 0) * room);
    pairs_ = memory_->numbers<int64_t>(room);
    fields_ = memory_->numbers<double>(6 * of_.fields());
    sums_ = reinterpret_cast<Vector*>(memory_->numbers<double>(3 * in_.fields * LANES));
    projected_ = memory_->numbers<double>(of_.fields());
  }

  // Returns the energy of centre i, and adds its derivatives unless `to` is null. type: the centre's element.
  double add(int64_t i, int64_t type, const Forces<double>& to) {
    energy_ = 0.0;
    differentiated_ = to.force;
    for (int64_t a = 0; a < 3; ++a) {
      S_[a] = in_.spin[3 * i + a];
      by_S_[a] = 0.0;
    }
    element_ = in_.magnetic[type];
    gather(i);
    add_pairs(type);
    if (in_.landau) add_on_site();
    if (in_.linear) add_in_field();
    if (differentiated_) add_up(i, to);
    return energy_;
  }

 private:
  // Rows of the array of neighbours (ROWS, room). A vector takes three rows.
  enum Row { VECTOR, SPIN = 3, BY_VECTOR = 6, BY_SPIN = 9, DISTANCE = 12, PER_DISTANCE, ROWS };
  // The neighbours of one element, which are adjacent. first, end: range padded to whole vectors.
  struct Run {
    int64_t first, count, end;
  };

  double* row(int64_t n) { return numbers_ + n * room_; }
  void load_vector(int64_t first, int64_t p, Vector* out) {
    for (int64_t a = 0; a < 3; ++a) out[a] = load(row(first + a) + p);
  }
  bool is_magnetic(int64_t type) const { return in_.magnetic[type] >= 0; }

  // Sorts the neighbours with a contribution by element.
  void gather(int64_t i) {
    const int64_t begin = in_.pair_start[i], end = in_.pair_start[i + 1];
    const int64_t* counts = in_.neighbour_counts + 2 * in_.types * i;
    room_ = 0;
    for (int64_t t = 0; t < in_.types; ++t) {
      const int64_t count = in_.single_ion || is_magnetic(t) ? counts[t] : 0;
      require(0 <= count && count <= end - begin, "as many neighbours as there are pairs");
      runs_[t] = {room_, 0, room_ + whole(count)};
      room_ = runs_[t].end;
    }
    require(room_ <= most_, "as many neighbours as there are pairs");
    std::fill_n(pairs_, room_, int64_t(-1));
    for (int64_t p = begin; p < end; ++p) {
      const int64_t type = in_.pair_type[p], neighbour = in_.pair_neighbour[p];
      require(0 <= type && type < 2 * in_.types && 0 <= neighbour && neighbour < in_.atoms,
              "neighbours that are atoms of the batch, of its elements");
      if (type >= in_.types || !(in_.single_ion || is_magnetic(type))) continue;
      Run& run = runs_[type];
      require(run.count < counts[type], "as many neighbours of each element as were counted");
      pairs_[run.first + run.count++] = p;
    }
    fill_numbers();
  }

  // Fills vectors, moments and distances. Padding has a distance beyond the cutoff, where all radial functions are zero.
  void fill_numbers() {
    for (int64_t n = 0; n < room_; ++n) {
      const int64_t p = pairs_[n];
      const bool carries = p >= 0 && is_magnetic(in_.pair_type[p]);
      for (int64_t a = 0; a < 3; ++a) {
        row(VECTOR + a)[n] = p < 0 ? 2.0 * in_.cutoff : in_.vector[3 * p + a];
        row(SPIN + a)[n] = carries ? in_.spin[3 * in_.pair_neighbour[p] + a] : 0.0;
      }
    }
    const double *x = row(VECTOR), *y = row(VECTOR + 1), *z = row(VECTOR + 2);
    double *r = row(DISTANCE), *per_r = row(PER_DISTANCE);
#pragma omp simd
    for (int64_t n = 0; n < room_; ++n) {
      const double square = x[n] * x[n] + y[n] * y[n] + z[n] * z[n];
      r[n] = std::sqrt(square);
      per_r[n] = square > 0.0 ? 1.0 / r[n] : 0.0;
    }
  }

  // Adds the energies of the pairs. Fills the derivatives with respect to pair vectors and the neighbours' moments.
  void add_pairs(int64_t type) {
    pair_basis_.begin(row(DISTANCE), room_, gaussians_);
    Vector energy = {}, by_S[3] = {};
    for (int64_t t = 0; t < in_.types; ++t)
      for (int64_t p = runs_[t].first; p < runs_[t].end; p += LANES) {
        const double* c = of_.pairs(type, t);
        Vector f[PARTS] = {}, slope[PARTS] = {};
        pair_basis_.each(load(row(DISTANCE) + p), gaussians_, room_, p,
                         [&](int64_t, const Vector& value, const Vector& derivative) {
                           for (int64_t part = 0; part < PARTS; ++part) {
                             f[part] += *c * value;
                             slope[part] += *c++ * derivative;
                           }
                         });
        add_pair(p, f, slope, &energy, by_S);
      }
    energy_ += sum(energy);
    for (int64_t a = 0; a < 3; ++a) by_S_[a] += sum(by_S[a]);
  }

  // −½ [J S_i·S_j + B (S_i·S_j)² + A ((S_i·u)(S_j·u) − S_i·S_j/3)] + D ((S_i·u)² − S_i²/3), for one vector of pairs.
  void add_pair(int64_t p, const Vector* f, const Vector* slope, Vector* energy, Vector* by_S) {
    Vector u[3], S[3];
    load_vector(VECTOR, p, u);
    load_vector(SPIN, p, S);
    const Vector per_r = load(row(PER_DISTANCE) + p);
    for (Vector& component : u) component *= per_r;
    const Vector product = dot(S, S_), own = dot(u, S_), other = dot(u, S);
    const Vector exchanged = own * other - product * (1.0 / 3.0), alone = own * own - dot(S_, S_) * (1.0 / 3.0);
    const auto terms = [&](const Vector* by) {
      return -0.5 * (by[BILINEAR] * product + by[BIQUADRATIC] * product * product + by[ANISOTROPIC] * exchanged) +
             by[SINGLE_ION] * alone;
    };
    *energy += terms(f);
    if (!differentiated_) return;
    const Vector half = -0.5 * f[ANISOTROPIC], twice = 2.0 * f[SINGLE_ION];
    const Vector by_product = -0.5 * f[BILINEAR] - f[BIQUADRATIC] * product - half * (1.0 / 3.0);
    const Vector by_own = half * other + twice * own, by_other = half * own;
    const Vector along = terms(slope) - (by_own * own + by_other * other) * per_r;
    for (int64_t a = 0; a < 3; ++a) {
      store(row(BY_VECTOR + a) + p, along * u[a] + (by_own * S_[a] + by_other * S[a]) * per_r);
      store(row(BY_SPIN + a) + p, by_product * S_[a] + by_other * u[a]);
      by_S[a] += by_product * S[a] + by_own * u[a] - twice * S_[a] * (1.0 / 3.0);
    }
  }

  double excess() const { return dot(S_, S_) - in_.moment_squared[element_]; }

  // c_1 (S² − S_0²) + c_2 (S² − S_0²)².
  void add_on_site() {
    const double *c = in_.landau + 2 * element_, x = excess();
    energy_ += (c[0] + c[1] * x) * x;
    for (int64_t a = 0; a < 3; ++a) by_S_[a] += 2.0 * (c[0] + 2.0 * c[1] * x) * S_[a];
  }

  // (S² − S_0²) [Σ_k a_k S·h_k + Σ_kl b_kl (S·h_k)(S·h_l) + Σ_kl c_kl h_k·h_l] with h_k = Σ_j φ_k(r) S_j.
  void add_in_field() {
    const int64_t n = of_.fields();
    double* by_fields = fields_ + 3 * n;
    make_fields();
    for (int64_t k = 0; k < n; ++k) projected_[k] = dot(S_, fields_ + 3 * k);
    const double x = excess();
    double bracket = 0.0;
    for (int64_t k = 0; k < n; ++k) {
      const double *h = fields_ + 3 * k, *b = of_.along(element_, k), *c = of_.across(element_, k);
      double by_projected = 0.0, pulled[3] = {};
      for (int64_t l = 0; l < n; ++l) {
        by_projected += b[l] * projected_[l];
        for (int64_t a = 0; a < 3; ++a) pulled[a] += c[l] * fields_[3 * l + a];
      }
      const double linear = in_.linear[element_ * n + k];
      bracket += projected_[k] * (linear + by_projected) + dot(pulled, h);
      by_projected = x * (linear + 2.0 * by_projected);
      for (int64_t a = 0; a < 3; ++a) {
        by_S_[a] += by_projected * h[a];
        by_fields[3 * k + a] = by_projected * S_[a] + 2.0 * x * pulled[a];
      }
    }
    energy_ += x * bracket;
    if (!differentiated_) return;
    for (int64_t a = 0; a < 3; ++a) by_S_[a] += 2.0 * bracket * S_[a];
    pull_back(by_fields);
  }

  // Calls body(run of neighbours, index of their first field) for all magnetic elements.
  template <typename Body>
  void each_magnetic(const Body& body) {
    for (int64_t t = 0; t < in_.types; ++t)
      if (is_magnetic(t)) body(runs_[t], in_.magnetic[t] * in_.fields);
  }

  // Fills the fields h_k, and stores φ_k and φ'_k for pull_back.
  void make_fields() {
    field_basis_.begin(row(DISTANCE), room_, gaussians_);
    each_magnetic([&](const Run& run, int64_t first) {
      std::fill_n(sums_, 3 * in_.fields, Vector{});
      for (int64_t p = run.first; p < run.end; p += LANES) {
        Vector S[3];
        load_vector(SPIN, p, S);
        const auto add = [&](int64_t k, const Vector& value, const Vector& slope) {
          store(functions_ + 2 * k * room_ + p, value);
          store(functions_ + (2 * k + 1) * room_ + p, slope);
          for (int64_t a = 0; a < 3; ++a) sums_[3 * k + a] += value * S[a];
        };
        field_basis_.each(load(row(DISTANCE) + p), gaussians_, room_, p, add);
      }
      for (int64_t k = 0; k < 3 * in_.fields; ++k) fields_[3 * first + k] = sum(sums_[k]);
    });
  }

  // Adds the fields' part to the derivatives with respect to pair vectors and the neighbours' moments.
  void pull_back(const double* by_fields) {
    each_magnetic([&](const Run& run, int64_t first) {
      for (int64_t p = run.first; p < run.end; p += LANES) {
        Vector S[3], along = {}, by_S[3] = {};
        load_vector(SPIN, p, S);
        for (int64_t k = 0; k < in_.fields; ++k) {
          const double* by = by_fields + 3 * (first + k);
          const Vector value = load(functions_ + 2 * k * room_ + p);
          along += load(functions_ + (2 * k + 1) * room_ + p) * dot(S, by);
          for (int64_t a = 0; a < 3; ++a) by_S[a] += value * by[a];
        }
        along *= load(row(PER_DISTANCE) + p);
        for (int64_t a = 0; a < 3; ++a) {
          add_to(BY_VECTOR + a, p, along * load(row(VECTOR + a) + p));
          add_to(BY_SPIN + a, p, by_S[a]);
        }
      }
    });
  }
  void add_to(int64_t n, int64_t p, const Vector& value) { store(row(n) + p, load(row(n) + p) + value); }

  // Adds the derivatives to the forces of the centre and its neighbours, and to the virial.
  void add_up(int64_t i, const Forces<double>& to) {
    Vector force[3] = {}, strain[9] = {};
    for (int64_t p = 0; p < room_; p += LANES) {
      Vector by[3], d[3];
      load_vector(BY_VECTOR, p, by);
      load_vector(VECTOR, p, d);
      for (int64_t a = 0; a < 3; ++a) {
        force[a] += by[a];
        for (int64_t b = 0; b < 3; ++b) strain[3 * a + b] += by[a] * d[b];
      }
    }
    for (int64_t a = 0; a < 3; ++a) {
      to.force[3 * i + a] += sum(force[a]);
      to.force_mag[3 * i + a] -= by_S_[a];
    }
    for (int64_t n = 0; n < 9; ++n) to.virial[9 * in_.frame[i] + n] -= sum(strain[n]);
    for (const Run& run : runs_)
      for (int64_t n = run.first; n < run.first + run.count; ++n) {
        const int64_t j = in_.pair_neighbour[pairs_[n]];
        for (int64_t a = 0; a < 3; ++a) {
          to.force[3 * j + a] -= row(BY_VECTOR + a)[n];
          to.force_mag[3 * j + a] -= row(BY_SPIN + a)[n];  // zero for neighbours that are not magnetic
        }
      }
  }

  const spinpot_exchange& in_;
  const Coefficients& of_;
  Basis pair_basis_, field_basis_;
  std::vector<Run> runs_;  // for each element
  Borrowed memory_ = borrow();
  int64_t most_ = -1, room_ = 0;
  // The array of neighbours (ROWS, room); their Gaussians; φ_k and φ'_k of the fields (L, 2, room); the fields and the
  // derivatives with respect to them (2, fields, 3); S·h_k.
  double *numbers_, *gaussians_, *functions_, *fields_, *projected_;
  int64_t* pairs_;  // index of each neighbour's pair among all pairs; −1 for padding
  Vector* sums_;
  // The current centre.
  bool differentiated_;
  double S_[3], by_S_[3], energy_;
  int64_t element_;
};

}  // namespace

void check_exchange(const spinpot_exchange& in) {
  constexpr int64_t most = int64_t(1) << 40;
  const int64_t sizes[] = {in.types - 1, in.magnetic_types, in.atoms,     in.frames,
                           in.pairs,     in.radial - 1,     in.fields - 1};
  require(within(sizes, std::size(sizes), most), "sizes that are not negative");
  require(in.cutoff > 0.0, "a cutoff above 0");
  require(!in.linear || (in.along && in.across), "all coefficients of the fields");
  require(within(in.elements, in.types, in.types), "a place of each element");
  for (int64_t t = 0; t < in.types; ++t)
    require(-1 <= in.magnetic[t] && in.magnetic[t] < in.magnetic_types, "a place of each magnetic element, or -1");
  check_batch(in);
}

void add_exchange(const spinpot_exchange& in, double* energy, const Forces<double>& to) {
  const Borrowed memory = borrow();
  const auto forces = with_other_threads(to, in.atoms, in.frames, *memory);
  const Coefficients coefficients(in);
  std::vector<Centres> blocks;
  for (const Centres& block : blocks_of(in.types, in.type_sizes, in.atom_order, SHARE))
    if (in.magnetic[block.type] >= 0) blocks.push_back(block);
  parallel_parts(blocks.size(), 1, [&](int64_t begin, int64_t end, int64_t thread) {
    Site site(in, coefficients);
    for (int64_t b = begin; b < end; ++b) {
      site.reserve(blocks[b]);
      for (int64_t n = 0; n < blocks[b].count; ++n)
        energy[blocks[b].atoms[n]] += site.add(blocks[b].atoms[n], blocks[b].type, forces[thread]);
    }
  });
  add_up(forces, in.atoms, in.frames);
}

}  // namespace spinpot

using namespace spinpot;

int spinpot_exchange_forward(const spinpot_exchange* in, const spinpot_derivatives* out) {
  return guarded(in->threads, [&] {
    check_exchange(*in);
    const auto zeros = [](void* numbers, int64_t count) {
      return numbers ? std::fill_n(static_cast<double*>(numbers), count, 0.0) - count : nullptr;
    };
    double* energy = zeros(out->energy, in->atoms);
    add_exchange(*in, energy,
                 {zeros(out->force, 3 * in->atoms), zeros(out->force_mag, 3 * in->atoms),
                  zeros(out->virial, 9 * in->frames)});
  });
}
