// The exchange term's radial functions, and its coefficients in the order in which loops over pairs read them.

#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "elementary.h"
#include "interface.h"
#include "vectors.h"

namespace spinpot {

namespace {

using Vector = Lanes<double>::Vector;
constexpr int64_t LANES = Lanes<double>::count;

inline Vector load(const double* numbers) { return *reinterpret_cast<const Vector*>(numbers); }
inline void store(double* numbers, const Vector& value) { *reinterpret_cast<Vector*>(numbers) = value; }
template <typename A, typename B>
inline auto dot(const A* a, const B* b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}
inline double sum(const Vector& all) {
  double total = 0.0;
  for (int64_t lane = 0; lane < LANES; ++lane) total += all[lane];
  return total;
}
inline int64_t whole(int64_t count) { return (count + LANES - 1) / LANES * LANES; }

// φ_k(r) = (1 − r²/rcut²)³ exp(−(r − c_k)²/2w²) with c_k = w, 2 w, …, K w. Each Gaussian is the previous one times a ratio.
// About every twelfth Gaussian is computed by exp, so that rounding errors of the products stay small.
struct Basis {
  double cutoff;
  int64_t number;

  double per_width() const { return (double(number) + 0.5) / cutoff; }
  int64_t parts() const { return (number + 11) / 12; }
  int64_t first(int64_t part) const { return part * number / parts(); }

  // For distances r (room,) fills the first Gaussian of each part and the ratio of the second to the first, (2 parts, room).
  void begin(const double* r, int64_t room, double* gaussians) const {
    const double per = per_width();
    for (int64_t part = 0; part < parts(); ++part, gaussians += 2 * room) {
      const double start = double(first(part) + 1);
      double* ratio = gaussians + room;
#pragma omp simd
      for (int64_t p = 0; p < room; ++p) {
        const double x = std::min(std::max(r[p] * per - start, -30.0), 30.0);  // exp(−30²/2) is negligible
        gaussians[p] = exponential(-0.5 * x * x);
        ratio[p] = exponential(x - 0.5);
      }
    }
  }

  // Calls body(k, φ_k, φ'_k) for one vector of distances r. p: their index in the arrays of `begin`.
  template <typename Body>
  void each(const Vector& r, const double* gaussians, int64_t room, int64_t p, const Body& body) const {
    const double per = per_width(), per_cutoff = 1.0 / (cutoff * cutoff), fall = std::exp(-1.0);
    const Vector left = 1.0 - r * r * per_cutoff, inside = left > 0.0 ? left : Vector{};
    const Vector cube = inside * inside * inside, slope = -6.0 * per_cutoff * r * inside * inside;
    for (int64_t part = 0; part < parts(); ++part, gaussians += 2 * room) {
      Vector x = (r * per - double(first(part) + 1)) * per;
      Vector gaussian = load(gaussians + p), ratio = load(gaussians + room + p);
      for (int64_t k = first(part); k < first(part + 1); ++k) {
        const Vector value = cube * gaussian;
        body(k, value, slope * gaussian - value * x);
        x -= per;
        gaussian *= ratio;
        ratio *= fall;
      }
    }
  }
};

// The parts of a pair's energy, each with a function of the distance. Their coefficients are adjacent in memory.
enum Part { BILINEAR, BIQUADRATIC, ANISOTROPIC, SINGLE_ION, PARTS };

// The coefficients in the order of the loops; zeros for missing terms.
class Coefficients {
 public:
  explicit Coefficients(const spinpot_exchange& in)
      : in_(in),
        pairs_(in.types * in.types * in.radial * PARTS),
        fields_(in.linear ? in.magnetic_types * in.fields : 0) {
    for (int64_t centre = 0; centre < in.types; ++centre)
      for (int64_t t = 0; t < in.types; ++t) fill(centre, t);
    for (const auto& [upper, to] : {std::pair(in.along, &along_), std::pair(in.across, &across_)})
      if (in.linear) *to = symmetric(upper);
  }

  // Coefficients (K, PARTS) for pairs of a centre element and a neighbour element.
  const double* pairs(int64_t centre, int64_t t) const {
    return pairs_.data() + (centre * in_.types + t) * in_.radial * PARTS;
  }
  // Number of fields at an atom: those of all magnetic elements.
  int64_t fields() const { return fields_; }
  // Row k of the symmetric matrix C with Σ_{k<=l} upper_kl x_k x_l = xᵀCx, for centres of a magnetic element.
  const double* along(int64_t element, int64_t k) const { return along_.data() + (element * fields_ + k) * fields_; }
  const double* across(int64_t element, int64_t k) const { return across_.data() + (element * fields_ + k) * fields_; }

 private:
  void fill(int64_t centre, int64_t t) {
    const int64_t a = in_.magnetic[centre], b = in_.magnetic[t], low = std::min(a, b), high = std::max(a, b);
    if (a < 0) return;
    const auto set = [&](Part part, const double* of_term, int64_t kind) {
      if (of_term)
        for (int64_t k = 0; k < in_.radial; ++k)
          pairs_[((centre * in_.types + t) * in_.radial + k) * PARTS + part] = of_term[kind * in_.radial + k];
    };
    set(SINGLE_ION, in_.single_ion, a * in_.types + in_.elements[t]);
    if (b < 0) return;
    const int64_t kind = low * in_.magnetic_types - low * (low - 1) / 2 + high - low;
    set(BILINEAR, in_.bilinear, kind);
    set(BIQUADRATIC, in_.biquadratic, kind);
    set(ANISOTROPIC, in_.anisotropic, kind);
  }

  std::vector<double> symmetric(const double* upper) const {
    const int64_t n = fields_;
    std::vector<double> full(in_.magnetic_types * n * n);
    for (int64_t element = 0; element < in_.magnetic_types; ++element)
      for (int64_t k = 0; k < n; ++k)
        for (int64_t l = k; l < n; ++l, ++upper) {
          full[(element * n + k) * n + l] += 0.5 * *upper;
          full[(element * n + l) * n + k] += 0.5 * *upper;
        }
    return full;
  }

  const spinpot_exchange& in_;
  std::vector<double> pairs_, along_, across_;
  int64_t fields_;
};

}  // namespace

}  // namespace spinpot
