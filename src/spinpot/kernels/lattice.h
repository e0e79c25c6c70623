// The cell of a frame: which images of a point come near the atoms.

#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace spinpot {

using Vec = std::array<double, 3>;

inline double dot(const Vec& a, const Vec& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

inline Vec cross(const Vec& a, const Vec& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

// a + factor · b
inline Vec plus(const Vec& a, double factor, const Vec& b) {
  return {a[0] + factor * b[0], a[1] + factor * b[1], a[2] + factor * b[2]};
}

inline Vec vec_at(const double* first) { return {first[0], first[1], first[2]}; }

// Short vectors of the lattice of a frame; zero, and without effect, along directions in which nothing repeats.
class Lattice {
 public:
  // box: three rows, of which those of periodic directions count.
  Lattice(const double* box, const uint8_t* periodic);

  // Whether the periodic vectors are finite and independent.
  bool valid() const { return valid_; }

  // In units of the vectors.
  Vec fractional(const Vec& place) const { return {dot(duals_[0], place), dot(duals_[1], place), dot(duals_[2], place)}; }

  // place + Σ counts · vectors
  Vec moved(const Vec& place, const Vec& counts) const {
    return plus(plus(plus(place, counts[0], vectors_[0]), counts[1], vectors_[1]), counts[2], vectors_[2]);
  }

  bool repeats(int k) const { return periodic_[k]; }

  // How far, in units of vector k, points may be apart that are `distance` (Å) from each other.
  double reach(int k, double distance) const { return distance * lengths_[k]; }

 private:
  void reduce();
  bool shorten(Vec& own, const Vec& other);

  Vec vectors_[3], duals_[3], lengths_;
  bool periodic_[3], valid_;
};

}  // namespace spinpot
