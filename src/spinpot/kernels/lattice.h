// Vectors in space, and the lattice of a frame.

#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace spinpot {

using Vec = std::array<double, 3>;

inline double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline double length(const Vec& a) { return std::sqrt(dot(a, a)); }

inline Vec cross(const Vec& a, const Vec& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

// a + factor · b
inline Vec plus(const Vec& a, double factor, const Vec& b) {
  return {a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]};
}

inline Vec vec_at(const double* first) { return {first[0], first[1], first[2]}; }

// Short lattice vectors of a frame. Those of non-periodic directions are zero and have no effect.
class Lattice {
 public:
  // box: three rows; those of non-periodic directions are ignored.
  Lattice(const double* box, const uint8_t* periodic) {
    for (int k = 0; k < 3; ++k)
      if (periodic[k]) vectors_[k] = vec_at(box + 3 * k);
    const Matrix before = products(periodic);
    const double edges = before[0][0] * before[1][1] * before[2][2];
    valid_ = determinant(before) > FLAT * FLAT * edges;
    if (!valid_) return;
    reduce();
    const Matrix own = products(periodic);
    for (int k = 0; k < 3; ++k) {
      const Vec row = cross(own[(k + 1) % 3], own[(k + 2) % 3]);  // row k of the inverse, times the determinant
      for (int j = 0; j < 3; ++j) duals_[k] = plus(duals_[k], row[j] / determinant(own), vectors_[j]);
    }
  }

  // Whether the periodic vectors are finite and independent.
  bool valid() const { return valid_; }

  // Coordinates in units of the lattice vectors.
  Vec fractional(const Vec& place) const { return {dot(duals_[0], place), dot(duals_[1], place), dot(duals_[2], place)}; }
  // Σ counts · vectors
  Vec shift(const Vec& counts) const {
    return plus(plus(plus({}, counts[0], vectors_[0]), counts[1], vectors_[1]), counts[2], vectors_[2]);
  }
  // The largest separation along vector k, in units of it, of points at `distance` (Å).
  double reach(int k, double distance) const { return distance * length(duals_[k]); }

 private:
  using Matrix = std::array<Vec, 3>;
  // A cell whose volume is below this fraction of |a||b||c| is singular; spinpot.data.cell has the same limit.
  static constexpr double FLAT = 1e-6;

  static double determinant(const Matrix& rows) { return dot(rows[0], cross(rows[1], rows[2])); }

  // Scalar products of the vectors. Non-periodic directions count as unit vectors orthogonal to all others.
  Matrix products(const uint8_t* periodic) const {
    Matrix made;
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) made[i][j] = i == j && !periodic[i] ? 1.0 : dot(vectors_[i], vectors_[j]);
    return made;
  }

  // Replaces the vectors by short ones of the same lattice, which need fewer periodic images.
  void reduce() {
    for (bool again = true; again;) {
      again = false;
      for (int k = 0; k < 3; ++k) {
        const Vec &a = vectors_[(k + 1) % 3], &b = vectors_[(k + 2) % 3];
        for (const Vec& other : {a, b, plus(a, 1.0, b), plus(a, -1.0, b)}) again |= shorten(vectors_[k], other);
      }
    }
  }

  // Subtracts a whole multiple of another vector if that shortens `own` by more than rounding errors; otherwise `reduce`
  // might never end.
  static bool shorten(Vec& own, const Vec& other) {
    const double square = dot(other, other);
    if (square == 0.0) return false;
    const Vec made = plus(own, -std::round(dot(own, other) / square), other);
    if (!(dot(made, made) < (1.0 - 1e-9) * dot(own, own))) return false;
    own = made;
    return true;
  }

  Vec vectors_[3]{}, duals_[3]{};
  bool valid_;
};

}  // namespace spinpot
