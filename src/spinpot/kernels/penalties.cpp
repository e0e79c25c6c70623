// The sums of spinpot.loss.penalty, with their derivatives.

#include <cmath>

#include "guard.h"
#include "interface.h"

namespace spinpot {
namespace {

// f(Δ) and f'(Δ).
struct Penalised {
  double value, slope;
};

struct Mse {
  Penalised operator()(double d) const { return {d * d, 2 * d}; }
};

struct Mae {
  Penalised operator()(double d) const { return {std::abs(d), d > 0 ? 1 : d < 0 ? -1 : d}; }
};

struct Huber {
  double delta;

  Penalised operator()(double d) const {
    const auto [size, sign] = Mae{}(d);
    return size < delta ? Penalised{d * d / 2, d} : Penalised{delta * (size - delta / 2), delta * sign};
  }
};

// Fills f'(Δ) of each number; returns Σ f(Δ)/components. known: output, the number of counted rows with labels.
template <typename T, typename Function>
double add_up(const spinpot_term& term, double power, const Function& function, int64_t& known) {
  const T* prediction = static_cast<const T*>(term.prediction);
  T* slope = static_cast<T*>(term.slope);
  double total = 0;
  known = 0;
  for (int64_t i = 0; i < term.rows; ++i) {
    const bool counts = !term.counted || term.counted[i];
    const double unit = term.n_atoms ? std::pow(term.n_atoms[i], power) : 1;
    for (int64_t k = i * term.width; k < (i + 1) * term.width; ++k) {
      const double ours = prediction[k];
      const bool has = counts && !std::isnan(term.label[k]);
      if (k == i * term.width) known += has;
      const auto found = function((ours - (has ? term.label[k] : ours)) / unit);
      total += found.value;
      slope[k] = found.slope / unit / term.components;
    }
  }
  return total / term.components;
}

template <typename Function>
void add_up_all(const spinpot_term* terms, int64_t count, double power, const Function& function, double* totals,
                int64_t* counts) {
  for (int64_t t = 0; t < count; ++t) {
    require(terms[t].rows >= 0 && terms[t].width >= 0, "sizes of 0 or more");
    totals[t] = terms[t].single ? add_up<float>(terms[t], power, function, counts[t])
                                : add_up<double>(terms[t], power, function, counts[t]);
  }
}

}  // namespace
}  // namespace spinpot

int spinpot_penalties(const spinpot_term* terms, int64_t count, int function, double delta, double power,
                      double* totals, int64_t* counts) {
  using namespace spinpot;
  return guarded(1, [&] {
    require(0 <= function && function <= 2, "a function from 0 to 2");
    const auto with = [&](const auto& f) { add_up_all(terms, count, power, f, totals, counts); };
    if (function == 0) return with(Mse{});
    if (function == 1) return with(Mae{});
    with(Huber{delta});
  });
}
