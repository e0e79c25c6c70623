// The hyperbolic tangent without a branch, so that the compiler makes it of several numbers at once.

#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace spinpot {

// Floating-point numbers: their bits as an integer, those of the fraction, the exponent of 1, and how many terms of
// the series of exp(x) − 1 up to x = ln(2)/2 reach their precision. ln(2) = above + below, of which `above` has so few
// bits that its multiples are exact. From 2|x| = most on, tanh|x| is 1.
template <typename T>
struct Format;

template <>
struct Format<double> {
  using Bits = uint64_t;
  static constexpr int fraction = 52, exponent = 1023, terms = 13;
  static constexpr double above = 0x1.62e42fefap-1, below = 0x1.cf79abc9e3b3ap-40, most = 40.0;
};

template <>
struct Format<float> {
  using Bits = uint32_t;
  static constexpr int fraction = 23, exponent = 127, terms = 7;
  static constexpr float above = 0x1.62e4p-1f, below = 0x1.7f7d1cp-20f, most = 20.0f;
};

template <typename T>
constexpr auto INVERSE_FACTORIAL = [] {
  std::array<T, 16> found{T(1)};
  for (size_t k = 1; k < found.size(); ++k) found[k] = found[k - 1] / T(k);
  return found;
}();

// tanh|x| = e/(e + 2) with e = exp(2|x|) − 1 = 2ⁿ (exp(r) − 1) + 2ⁿ − 1, 2|x| = n ln 2 + r. Within 4 units of the
// last place.
template <typename T>
T hyperbolic_tangent(T x) {
  using F = Format<T>;
  constexpr T round = T(1.5) * T(typename F::Bits(1) << F::fraction);  // adding it leaves n in the last bits
  const T twice = T(2) * std::abs(x), z = twice > F::most ? F::most : twice;
  const T shifted = z * T(M_LOG2E) + round, n = shifted - round;
  const T r = (z - n * F::above) - n * F::below;
  T series = T(0);  // (exp(r) − 1)/r
#pragma GCC unroll 16
  for (int k = F::terms; k > 0; --k) series = series * r + INVERSE_FACTORIAL<T>[k];
  typename F::Bits bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + F::exponent) << F::fraction;
  T power;
  std::memcpy(&power, &bits, sizeof power);
  const T e = power * (r * series) + (power - T(1));
  return std::copysign(e / (e + T(2)), x);
}

}  // namespace spinpot
