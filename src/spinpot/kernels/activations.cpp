#include "activations.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "elementary.h"
#include "parallel.h"

namespace spinpot {

namespace {

// The values f(x), f'(x) and f''(x).
template <typename T>
struct Jet {
  T value, slope, curvature;
};

template <typename T>
SPINPOT_WITHIN_LOOPS Jet<T> tanh_of(T x) {
  const T y = hyperbolic_tangent(x), slope = T(1) - y * y;
  return {y, slope, T(-2) * y * slope};
}

template <typename T>
T sigmoid(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

template <typename T>
Jet<T> sigmoid_of(T x) {
  const T p = sigmoid(x), slope = p * (T(1) - p);
  return {p, slope, slope * (T(1) - T(2) * p)};
}

template <typename T>
SPINPOT_WITHIN_LOOPS Jet<T> gelu_of(T x) {
  const T k = std::sqrt(T(2) / T(M_PI)), c = T(0.044715);
  const T t = hyperbolic_tangent(k * x * (T(1) + c * x * x)), bend = T(1) - t * t;
  const T du = k * (T(1) + T(3) * c * x * x), ddu = T(6) * k * c * x;
  return {T(0.5) * x * (T(1) + t), T(0.5) * (T(1) + t) + T(0.5) * x * bend * du,
          bend * (du + T(0.5) * x * (ddu - T(2) * t * du * du))};
}

template <typename T>
Jet<T> silu_of(T x) {
  const T p = sigmoid(x), q = p * (T(1) - p);
  return {x * p, p + x * q, q * (T(2) + x * (T(1) - T(2) * p))};
}

template <typename T>
Jet<T> softplus_of(T x) {
  const T p = sigmoid(x);
  return {std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))), p, p * (T(1) - p)};
}

// silu below the threshold, a tanh above it.
template <typename T>
Jet<T> silut_of(T x, T threshold) {
  if (x < threshold) return silu_of(x);
  const auto there = silu_of(threshold);
  const T rise = there.slope;
  const auto above = tanh_of(rise * (x - threshold));
  return {there.value + above.value, rise * above.slope, rise * rise * above.curvature};
}

template <typename T, typename Function>
void fill(const Activated<T>& of, const Function& function, int64_t first, int64_t count) {
  T *f = of.value.numbers + first, *df = of.slope.numbers + first;
  T* ddf = of.curvature.numbers ? of.curvature.numbers + first : nullptr;
  parallel(count, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Jet<T> jet = function(f[i]);
      f[i] = jet.value;
      df[i] = jet.slope;
      if (ddf) ddf[i] = jet.curvature;
    }
  });
}

}  // namespace

template <typename T>
void Activated<T>::apply(const Activation& activation, int64_t first, int64_t rows) const {
  const auto kind = activation.kind;
  const auto each = [&](const auto& function) {
    fill(*this, function, first * value.columns, rows * value.columns);
  };
  const T threshold = activation.threshold;
  if (kind == "tanh") return each([](T x) { return tanh_of(x); });
  if (kind == "gelu") return each([](T x) { return gelu_of(x); });
  if (kind == "silu") return each([](T x) { return silu_of(x); });
  if (kind == "softplus") return each([](T x) { return softplus_of(x); });
  if (kind == "sigmoid") return each([](T x) { return sigmoid_of(x); });
  if (kind == "relu") return each([](T x) { return x > T(0) ? Jet<T>{x, 1, 0} : Jet<T>{0, 0, 0}; });
  if (kind == "relu6")
    return each([](T x) { return Jet<T>{std::clamp(x, T(0), T(6)), T(x > T(0) && x < T(6)), 0}; });
  if (kind == "linear") return each([](T x) { return Jet<T>{x, 1, 0}; });
  if (kind == "silut") return each([threshold](T x) { return silut_of(x, threshold); });
  throw std::invalid_argument("unknown activation function " + std::string(kind));
}

template struct Activated<double>;
template struct Activated<float>;

}  // namespace spinpot
