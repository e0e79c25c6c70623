// The sums of penalties of spinpot.loss.penalty, with their derivatives.

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <cmath>
#include <optional>

#include "tensors.h"

namespace spinpot {

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

// Rows of a prediction, their labels, and what there may be for each: whether it counts, and its atoms.
template <typename T>
struct Rows {
  const T* prediction;
  const double* label;
  int64_t number, width;
  const bool* counted;
  const int64_t* n_atoms;
};

// Fills f'(Δ) of each number; returns Σ f(Δ)/components. known: becomes the number of rows that have labels and count.
template <typename T, typename Function>
double add_up(const Rows<T>& rows, double components, double power, const Function& function, T* slope, int64_t& known) {
  double total = 0;
  known = 0;
  for (int64_t i = 0; i < rows.number; ++i) {
    const bool counts = !rows.counted || rows.counted[i];
    const double unit = rows.n_atoms ? std::pow(rows.n_atoms[i], power) : 1;
    for (int64_t k = i * rows.width; k < (i + 1) * rows.width; ++k) {
      const double ours = rows.prediction[k];
      const bool has = counts && !std::isnan(rows.label[k]);
      if (k == i * rows.width) known += has;
      const auto found = function((ours - (has ? rows.label[k] : ours)) / unit);
      total += found.value;
      slope[k] = found.slope / unit / components;
    }
  }
  return total / components;
}

// body(f) for the function of that name.
template <typename Body>
auto with_function(std::string_view name, double delta, const Body& body) {
  if (name == "mse") return body(Mse{});
  if (name == "mae") return body(Mae{});
  TORCH_CHECK(name == "huber", "expected mse, mae or huber");
  return body(Huber{delta});
}

using Maybe = c10::List<std::optional<Tensor>>;

// The numbers of a tensor that may not be there.
template <typename T>
const T* numbers_if_any(const std::optional<Tensor>& tensor, int64_t rows) {
  if (!tensor) return nullptr;
  check(*tensor);
  TORCH_CHECK(tensor->numel() == rows, "expected a number for each row");
  return numbers<T>(*tensor);
}

// Of each term: its sum, how many rows have labels and count, and the derivatives of the sum by the prediction.
std::tuple<Tensor, Tensor, std::vector<Tensor>> penalties(at::TensorList predictions, at::TensorList labels,
                                                          const Maybe& counted, const Maybe& n_atoms,
                                                          at::ArrayRef<double> components, c10::string_view function,
                                                          double delta, double power) {
  const size_t terms = predictions.size();
  TORCH_CHECK(labels.size() == terms && counted.size() == terms && n_atoms.size() == terms && components.size() == terms,
              "expected as many labels, components and the like as predictions");
  const auto of_terms = static_cast<int64_t>(terms);
  const Tensor totals = at::empty({of_terms}, at::kDouble), counts = at::empty({of_terms}, at::kLong);
  std::vector<Tensor> slopes;
  for (size_t t = 0; t < terms; ++t) {
    const Tensor prediction = predictions[t].contiguous(), label = labels[t].contiguous();
    check(prediction);
    check(label);
    TORCH_CHECK(prediction.sizes() == label.sizes(), "expected a label for each number");
    const int64_t rows = label.size(0), width = rows ? label.numel() / rows : 0;
    slopes.push_back(at::empty_like(prediction));
    AT_DISPATCH_FLOATING_TYPES(prediction.scalar_type(), "penalties", [&] {
      const Rows<scalar_t> all{numbers<scalar_t>(prediction), numbers<double>(label), rows, width,
                               numbers_if_any<bool>(counted[t], rows), numbers_if_any<int64_t>(n_atoms[t], rows)};
      totals.data_ptr<double>()[t] = with_function(function, delta, [&](const auto& f) {
        return add_up(all, components[t], power, f, slopes[t].template data_ptr<scalar_t>(),
                      counts.data_ptr<int64_t>()[t]);
      });
    });
  }
  return {totals, counts, slopes};
}

}  // namespace spinpot

TORCH_LIBRARY_FRAGMENT(spinpot, library) {
  library.def(
      "penalties(Tensor[] predictions, Tensor[] labels, Tensor?[] counted, Tensor?[] n_atoms, float[] components, "
      "str function, float delta, float power) -> (Tensor, Tensor, Tensor[])",
      &spinpot::penalties);
}
