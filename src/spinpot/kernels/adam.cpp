// A step of Adam for all parameters in one call, by the formulas of torch.optim.Adam.

#include <cmath>

#include "guard.h"
#include "interface.h"

namespace spinpot {
namespace {

struct Settings {
  double rate, beta1, beta2, eps;
};

// Updates p, m and v in place: m is the running mean of the gradient g, v that of g². rest1, rest2: 1 − β₁ and 1 − β₂,
// computed in float64 by the caller; rate: the learning rate over 1 − β₁ᵗ; unbias: 1/√(1 − β₂ᵗ).
template <typename T>
void step_part(T* p, const T* g, T* m, T* v, int64_t n, T beta1, T beta2, T rest1, T rest2, T rate, T unbias, T eps) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    m[i] = beta1 * m[i] + rest1 * g[i];
    v[i] = beta2 * v[i] + rest2 * (g[i] * g[i]);
    p[i] -= rate * m[i] / (std::sqrt(v[i]) * unbias + eps);
  }
}

// Updates parameter k of n, which has `size` numbers.
template <typename T>
void step(void* const* places, int64_t k, int64_t n, int64_t size, const Settings& with) {
  const auto numbers = [&](int64_t which) { return static_cast<T*>(places[which * n + k]); };
  const double t = ++*static_cast<float*>(places[4 * n + k]);
  const double rate = with.rate / (1 - std::pow(with.beta1, t)), unbias = 1 / std::sqrt(1 - std::pow(with.beta2, t));
  parallel(size, 16384, [&](int64_t begin, int64_t end) {
    step_part<T>(numbers(0) + begin, numbers(1) + begin, numbers(2) + begin, numbers(3) + begin, end - begin,
                 with.beta1, with.beta2, 1 - with.beta1, 1 - with.beta2, rate, unbias, with.eps);
  });
}

}  // namespace
}  // namespace spinpot

int spinpot_adam_step(void* const* places, const int64_t* sizes, const signed char* single, int64_t count, double rate,
                      double beta1, double beta2, double eps, int64_t threads) {
  return spinpot::guarded(threads, [&] {
    const spinpot::Settings with{rate, beta1, beta2, eps};
    for (int64_t k = 0; k < count; ++k) {
      spinpot::require(sizes[k] >= 0, "sizes of 0 or more");
      const auto step = single[k] ? spinpot::step<float> : spinpot::step<double>;
      step(places, k, count, sizes[k], with);
    }
  });
}
