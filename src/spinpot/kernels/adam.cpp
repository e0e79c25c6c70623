// A step of Adam for all parameters in one call, by the formulas of torch.optim.Adam.

#include <cmath>

#include "guard.h"
#include "interface.h"

namespace spinpot {
namespace {

struct Settings {
  double rate, beta1, beta2, eps;
};

// Changes p and the means m of its gradient g and v of g² in place. rate1, rate2: 1 − β₁, 1 − β₂, which float32 would
// round; size: the learning rate over 1 − β₁ᵗ; unbias: 1/√(1 − β₂ᵗ).
template <typename T>
void step_part(T* p, const T* g, T* m, T* v, int64_t n, T beta1, T beta2, T rate1, T rate2, T size, T unbias, T eps) {
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    m[i] = beta1 * m[i] + rate1 * g[i];
    v[i] = beta2 * v[i] + rate2 * (g[i] * g[i]);
    p[i] -= size * m[i] / (std::sqrt(v[i]) * unbias + eps);
  }
}

template <typename T>
void step(const spinpot_moments& own, const Settings& with) {
  const double t = ++*own.steps;
  const double size = with.rate / (1 - std::pow(with.beta1, t)), unbias = 1 / std::sqrt(1 - std::pow(with.beta2, t));
  const auto at = [](auto* numbers, int64_t begin) { return static_cast<T*>(numbers) + begin; };
  parallel(own.size, 16384, [&](int64_t begin, int64_t end) {
    step_part<T>(at(own.parameter, begin), static_cast<const T*>(own.gradient) + begin, at(own.mean, begin),
                 at(own.mean_square, begin), end - begin, with.beta1, with.beta2, 1 - with.beta1, 1 - with.beta2, size,
                 unbias, with.eps);
  });
}

}  // namespace
}  // namespace spinpot

int spinpot_adam_step(const spinpot_moments* parameters, int64_t count, double rate, double beta1, double beta2,
                      double eps, int64_t threads) {
  return spinpot::guarded(threads, [&] {
    const spinpot::Settings with{rate, beta1, beta2, eps};
    for (const auto* own = parameters; own != parameters + count; ++own) {
      spinpot::require(own->size >= 0, "sizes of 0 or more");
      own->single ? spinpot::step<float>(*own, with) : spinpot::step<double>(*own, with);
    }
  });
}
