// Functions without branches, so that the compiler vectorises loops over them.

#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace spinpot {

#define SPINPOT_WITHIN_LOOPS inline __attribute__((always_inline))

// Facts about a floating-point type. Bits: the integer type of its size; fraction: number of bits of the fraction;
// exponent: the bias of the exponent; terms, log_terms: numbers of terms after which the series of exp(x) − 1 (for
// |x| up to ln(2)/2) and of the logarithm reach full precision; above + below: ln(2), with so few bits in `above` that its
// multiples are exact; most: for 2|x| above this, tanh|x| is 1.
template <typename T>
struct Format;

template <>
struct Format<double> {
  using Bits = uint64_t;
  static constexpr int fraction = 52, exponent = 1023, terms = 13, log_terms = 10;
  static constexpr double above = 0x1.62e42fefap-1, below = 0x1.cf79abc9e3b3ap-40, most = 40.0;
};

template <>
struct Format<float> {
  using Bits = uint32_t;
  static constexpr int fraction = 23, exponent = 127, terms = 7, log_terms = 5;
  static constexpr float above = 0x1.62e4p-1f, below = 0x1.7f7d1cp-20f, most = 20.0f;
};

template <typename T>
constexpr auto INVERSE_FACTORIAL = [] {
  std::array<T, 16> found{T(1)};
  for (size_t k = 1; k < found.size(); ++k) found[k] = found[k - 1] / T(k);
  return found;
}();

template <typename To, typename From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// power = 2ⁿ and rest = exp(r) − 1 with x = n ln 2 + r, so that exp(x) = power (1 + rest).
template <typename T>
struct Exponential {
  T power, rest;

  SPINPOT_WITHIN_LOOPS explicit Exponential(T x) {
    using F = Format<T>;
    constexpr T round = T(1.5) * T(typename F::Bits(1) << F::fraction);  // a sum with it has n in its last bits
    const T shifted = x * T(M_LOG2E) + round, n = shifted - round;
    const T r = (x - n * F::above) - n * F::below;
    T series = T(0);  // (exp(r) − 1)/r
#pragma GCC unroll 16
    for (int k = F::terms; k > 0; --k) series = series * r + INVERSE_FACTORIAL<T>[k];
    power = same_bits<T>((same_bits<typename F::Bits>(shifted) + F::exponent) << F::fraction);
    rest = r * series;
  }
};

// exp(x) for |x| < 700.
SPINPOT_WITHIN_LOOPS double exponential(double x) {
  const Exponential<double> e(x);
  return e.power + e.power * e.rest;
}

// tanh|x| = e/(e + 2) with e = exp(2|x|) − 1. The error is at most 4 units in the last place.
template <typename T>
SPINPOT_WITHIN_LOOPS T hyperbolic_tangent(T x) {
  const T twice = T(2) * std::abs(x);
  const Exponential<T> found(twice > Format<T>::most ? Format<T>::most : twice);
  const T e = found.power * found.rest + (found.power - T(1));
  return std::copysign(e / (e + T(2)), x);
}

// ln x for a normal number x ≥ √½. x = 2ⁿ m with m from √½ to √2, and ln m = 2 artanh(q) with q = (m − 1)/(m + 1).
template <typename T>
SPINPOT_WITHIN_LOOPS T logarithm(T x) {
  using F = Format<T>;
  using Bits = typename F::Bits;
  const Bits bits = same_bits<Bits>(x), root_half = same_bits<Bits>(T(M_SQRT1_2)), offset = bits - root_half;
  const Bits n = offset >> F::fraction;
  const T whole = T(Bits(1) << F::fraction);  // the last bit of this number has the value 1
  const T m = same_bits<T>(bits - (n << F::fraction));
  const T q = (m - T(1)) / (m + T(1)), square = q * q;
  T series = T(0);
#pragma GCC unroll 16
  for (int k = F::log_terms; k >= 0; --k) series = series * square + T(1) / T(2 * k + 1);
  return T(2) * q * series + (same_bits<T>(n | same_bits<Bits>(whole)) - whole) * T(M_LN2);
}

}  // namespace spinpot
