// The parts of spin dynamics that do not depend on the model: random numbers, fields extrapolated from previous steps, and
// the iterated step of the spins.

#include <algorithm>
#include <cmath>

#include "guard.h"
#include "interface.h"
#include "philox.h"

namespace spinpot {
namespace {

struct Vector {
  double x, y, z;
};

Vector at(const double* rows, int64_t i) { return {rows[3 * i], rows[3 * i + 1], rows[3 * i + 2]}; }

void put(double* rows, int64_t i, const Vector& a) {
  rows[3 * i] = a.x;
  rows[3 * i + 1] = a.y;
  rows[3 * i + 2] = a.z;
}

Vector operator+(const Vector& a, const Vector& b) { return {a.x + b.x, a.y + b.y, a.z + b.z}; }
Vector operator*(double f, const Vector& a) { return {f * a.x, f * a.y, f * a.z}; }
double dot(const Vector& a, const Vector& b) { return a.x * b.x + a.y * b.y + a.z * b.z; }
double length(const Vector& a) { return std::sqrt(dot(a, a)); }

Vector cross(const Vector& a, const Vector& b) {
  return {a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x};
}

// The unit vector along a; zero for a zero vector.
Vector direction(const Vector& a) {
  const double norm = length(a);
  return norm > 0 ? 1 / norm * a : Vector{0, 0, 0};
}

// S' with S' - S = (S + S') × a, a rotation about a (the Cayley transform).
Vector turned(const Vector& spin, const Vector& a) {
  const double square = dot(a, a);
  return 1 / (1 + square) * ((1 - square) * spin + 2 * (cross(spin, a) + dot(a, spin) * a));
}

// The largest absolute component; NaN if any component is NaN.
double largest(const Vector& a) {
  return std::max({std::abs(a.x), std::abs(a.y), std::abs(a.z)}) + 0 * (a.x + a.y + a.z);
}

// Number of fixed-point iterations for the damping term n × B, which depends on the unknown midpoint.
constexpr int DAMPED_TURNS = 3;

// One step of dS/dt = S × A with A = -(g/ħ)/(1 + α²) (B + α n × B), where n is the direction of the midpoint. Returns the
// largest change of a component of S'.
double turn_spins(const spinpot_turn& turn) {
  const double half = -0.5 * turn.angle / (1 + turn.damping * turn.damping);
  double change = 0;
  for (int64_t i = 0; i < turn.count; ++i) {
    const Vector before = at(turn.before, i), field = at(turn.field, i);
    Vector after, middle = at(turn.middle, i);
    for (int k = 0; k < (turn.damping == 0 ? 1 : DAMPED_TURNS); ++k) {
      after = turned(before, half * (field + turn.damping * cross(direction(middle), field)));
      middle = length(before) * direction(before + after);
    }
    const double moved = largest(after + -1 * at(turn.after, i));
    if (!(moved <= change) && !std::isnan(change)) change = moved;
    put(turn.middle, i, middle);
    put(turn.after, i, after);
  }
  return change;
}

// Extrapolates the fields b[0 … n - 1], newest first, to the next step. With ∇b_k = b_k - b_(k+1), the polynomial through
// the newest m fields extrapolates to the sum of ∇^j b_0 with j < m. Its errors in the last two steps were ∇^m b_0 and
// ∇^m b_1. The m with the smallest error is used.
Vector extrapolated(Vector* b, int64_t n) {
  Vector sum{0, 0, 0}, best = n > 0 ? b[0] : sum;
  double least = INFINITY;
  for (int64_t m = 1; m < n; ++m) {
    sum = sum + b[0];
    for (int64_t k = 0; k < n - m; ++k) b[k] = b[k] + -1 * b[k + 1];
    const double error = n - m > 1 ? (dot(b[0], b[0]) + dot(b[1], b[1])) / 2 : dot(b[0], b[0]);
    if (error < least) {
      least = error;
      best = sum;
    }
  }
  return best;
}

// Offsets in a row of the history, which has SPINPOT_HISTORY numbers: number of steps, the two sums for λ, the steps.
constexpr int KEPT = 0, ALONG = 1, SQUARES = 2, STEPS = 3, OF_STEP = 6;

double own_part(const double* row) { return row[SQUARES] > 0 ? row[ALONG] / row[SQUARES] : 0; }

Vector expected(const double* row) {
  Vector rest[SPINPOT_FIELDS];
  require(0 <= row[KEPT] && row[KEPT] <= SPINPOT_FIELDS, "a history of 0 to SPINPOT_FIELDS fields");
  const int64_t kept = int64_t(row[KEPT]);
  for (int64_t k = 0; k < kept; ++k) {
    const double* step = row + STEPS + OF_STEP * k;
    rest[k] = at(step, 0) + -own_part(row) * at(step, 1);
  }
  return extrapolated(rest, kept);
}

// The factor by which the sums that determine λ decay with each evaluation.
constexpr double REMEMBERED = 0.95;

void learn(double* row, const Vector& field, const Vector& middle) {
  const Vector moved = middle + -1 * at(row + STEPS, 1), changed = field + -1 * at(row + STEPS, 0);
  row[ALONG] = REMEMBERED * row[ALONG] + dot(moved, changed);
  row[SQUARES] = REMEMBERED * row[SQUARES] + dot(moved, moved);
}

Vector evaluated(double* row, bool first, const Vector& field, const Vector& middle) {
  double* newest = row + STEPS;
  if (!first) learn(row, field, middle);
  if (first) {
    std::copy_backward(newest, row + SPINPOT_HISTORY - OF_STEP, row + SPINPOT_HISTORY);
    row[KEPT] = std::min<double>(row[KEPT] + 1, SPINPOT_FIELDS);
  }
  put(newest, 0, field);
  put(newest, 1, middle);
  return field + -own_part(row) * middle;
}

}  // namespace
}  // namespace spinpot

int spinpot_normals(int64_t seed, int64_t step, int64_t purpose, const int64_t* ids, int64_t count, int64_t width,
                    double* out) {
  return spinpot::guarded(1, [&] {
    spinpot::require(0 <= step && step < int64_t(1) << 48, "a step from 0 to 2^48 - 1");
    spinpot::require(0 <= purpose && purpose < 256, "a purpose from 0 to 255");
    spinpot::require(0 <= width && width <= 1024, "at most 1024 numbers of an atom");
    for (int64_t i = 0; i < count; ++i)
      for (int64_t first = 0; first < width; first += 4) {
        const auto normals = spinpot::four_normals(seed, step, purpose, first / 4, ids[i]);
        std::copy_n(normals.begin(), std::min<int64_t>(4, width - first), out + i * width + first);
      }
  });
}

int spinpot_expected_fields(int64_t count, const double* history, double* out) {
  return spinpot::guarded(1, [&] {
    for (int64_t i = 0; i < count; ++i) spinpot::put(out, i, spinpot::expected(history + i * SPINPOT_HISTORY));
  });
}

int spinpot_evaluated_fields(int64_t count, int64_t first, const double* field, const double* middle, double* history,
                             double* rest) {
  return spinpot::guarded(1, [&] {
    for (int64_t i = 0; i < count; ++i) {
      double* row = history + i * SPINPOT_HISTORY;
      spinpot::put(rest, i, spinpot::evaluated(row, first, spinpot::at(field, i), spinpot::at(middle, i)));
    }
  });
}

int spinpot_turn_spins(const spinpot_turn* turn, double* change) {
  return spinpot::guarded(1, [&] { *change = spinpot::turn_spins(*turn); });
}

int spinpot_spins_found(double tolerance, double damping, double change, double* last, double* contraction,
                        int64_t* found) {
  return spinpot::guarded(1, [&] {
    constexpr double DOUBT = 1.1, MOST = 0.9, OF_MANY = 0.2;
    *contraction = *last > 0 ? change / *last : std::min(DOUBT * *contraction, 1.0);
    *last = change;
    const double c = std::min(*contraction, MOST);
    *found = change * c <= tolerance * (damping == 0 ? OF_MANY : 1) * (1 - c);
  });
}
