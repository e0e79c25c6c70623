#include "lattice.h"

namespace spinpot {

namespace {

// A cell whose volume is below this share of |a||b||c| has no inverse worth the name; spinpot.data.cell.
constexpr double FLAT = 1e-6;

// Puts unit vectors, normal to the others, in place of those along which nothing repeats.
void complete(Vec* vectors, const bool* periodic) {
  for (int k = 0; k < 3; ++k) {
    if (periodic[k]) continue;
    Vec &a = vectors[(k + 1) % 3], &b = vectors[(k + 2) % 3];
    const bool has_a = dot(a, a) > 0.0, has_b = dot(b, b) > 0.0;
    Vec made{1.0, 0.0, 0.0};
    if (has_a && has_b) {
      made = cross(a, b);
    } else if (has_a || has_b) {
      const Vec& along = has_a ? a : b;
      const Vec size{std::abs(along[0]), std::abs(along[1]), std::abs(along[2])};
      const int least = size[0] <= size[1] && size[0] <= size[2] ? 0 : size[1] <= size[2] ? 1 : 2;
      Vec axis{};
      axis[least] = 1.0;
      made = cross(along, axis);
    }
    const double length = std::sqrt(dot(made, made));
    vectors[k] = {made[0] / length, made[1] / length, made[2] / length};
  }
}

}  // namespace

Lattice::Lattice(const double* box, const uint8_t* periodic) : lengths_{} {
  for (int k = 0; k < 3; ++k) {
    periodic_[k] = periodic[k] != 0;
    vectors_[k] = periodic_[k] ? vec_at(box + 3 * k) : Vec{};
    duals_[k] = {};
  }
  Vec whole[3] = {vectors_[0], vectors_[1], vectors_[2]};
  complete(whole, periodic_);
  double edges = 1.0;
  for (const Vec& one : whole) edges *= std::sqrt(dot(one, one));
  const double volume = std::abs(dot(whole[0], cross(whole[1], whole[2])));
  valid_ = volume > FLAT * edges && std::isfinite(edges);
  if (!valid_) return;
  reduce();
  for (int k = 0; k < 3; ++k) whole[k] = vectors_[k];
  complete(whole, periodic_);
  const double signed_volume = dot(whole[0], cross(whole[1], whole[2]));
  for (int k = 0; k < 3; ++k) {
    if (!periodic_[k]) continue;
    duals_[k] = plus({}, 1.0 / signed_volume, cross(whole[(k + 1) % 3], whole[(k + 2) % 3]));
    lengths_[k] = std::sqrt(dot(duals_[k], duals_[k]));
  }
}

// Skewed cells need many images: short vectors of the same lattice need few.
void Lattice::reduce() {
  for (bool again = true; again;) {
    again = false;
    for (int k = 0; k < 3; ++k) {
      const Vec &a = vectors_[(k + 1) % 3], &b = vectors_[(k + 2) % 3];
      if (!periodic_[k]) continue;
      for (const Vec& other : {a, b, plus(a, 1.0, b), plus(a, -1.0, b)}) again |= shorten(vectors_[k], other);
    }
  }
}

// Takes whole multiples of another vector off one, if that shortens it; never so little that it might not end.
bool Lattice::shorten(Vec& own, const Vec& other) {
  const double square = dot(other, other);
  if (!(square > 0.0)) return false;
  const Vec made = plus(own, -std::round(dot(own, other) / square), other);
  if (!(dot(made, made) < (1.0 - 1e-9) * dot(own, own))) return false;
  own = made;
  return true;
}

}  // namespace spinpot
