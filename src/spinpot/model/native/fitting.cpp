// spinpot.model.fitting for nets of tanh: the same formulas as there, with what lies between two matrix
// products in one loop.

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/addmv.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <optional>
#include <tuple>
#include <vector>

namespace {

using at::Tensor;

constexpr int64_t COLUMNS = 64;  // of a layer, for a thread at once

// y = idt ⊙ tanh(xW + b) + skip of x.
struct Layer {
  Tensor weight, bias, idt;

  int64_t width_in() const { return weight.size(0); }
  int64_t width() const { return weight.size(1); }
  int64_t repeats() const {
    return width() == width_in() ? 1 : width() == 2 * width_in() ? 2 : 0;
  }
};

// Layers from their parameters, three each; an idt of no numbers stands for none.
std::vector<Layer> layers_of(at::TensorList parameters) {
  std::vector<Layer> layers;
  for (size_t n = 0; n + 2 < parameters.size(); n += 3)
    layers.push_back({parameters[n], parameters[n + 1], parameters[n + 2]});
  return layers;
}

template <typename T>
struct Numbers {
  const T* idt;  // null where there is none
  int64_t rows, width, width_in;
  bool skips;

  Numbers(const Layer& layer, int64_t rows)
      : idt(layer.idt.numel() ? layer.idt.const_data_ptr<T>() : nullptr),
        rows(rows),
        width(layer.width()),
        width_in(layer.width_in()),
        skips(layer.repeats() > 0) {}

  T scale(int64_t column) const { return idt ? idt[column] : T(1); }

  T skip(const T* x, int64_t row, int64_t column) const {
    return skips ? x[row * width_in + (column < width_in ? column : column - width_in)] : T(0);
  }

  // body(place, row, column) for every number, a thread having columns of its own.
  template <typename Body>
  void each(const Body& body) const {
    at::parallel_for(0, width, COLUMNS, [&](int64_t begin, int64_t end) {
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = begin; column < end; ++column) body(row * width + column, row, column);
    });
  }
};

template <typename T>
const T* in(const Tensor& tensor) {
  TORCH_CHECK(tensor.is_contiguous() && tensor.device().is_cpu(), "expected contiguous tensors on the CPU");
  return tensor.const_data_ptr<T>();
}

Tensor output(const Layer& layer, const Tensor& value, const Tensor& x) {
  Tensor result = at::empty_like(value);
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "output", [&] {
    using T = scalar_t;
    const Numbers<T> of(layer, value.size(0));
    const T *f = in<T>(value), *skipped = in<T>(x);
    T* y = result.data_ptr<T>();
    of.each([&](int64_t at, int64_t row, int64_t c) { y[at] = of.scale(c) * f[at] + of.skip(skipped, row, c); });
  });
  return result;
}

// ∂E/∂z = idt ⊙ ∂E/∂y ⊙ f'.
Tensor down(const Layer& layer, const Tensor& by_output, const Tensor& value) {
  Tensor result = at::empty_like(value);
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "down", [&] {
    using T = scalar_t;
    const Numbers<T> of(layer, value.size(0));
    const T *g = in<T>(by_output), *f = in<T>(value);
    T* by_z = result.data_ptr<T>();
    of.each([&](int64_t at, int64_t, int64_t c) { by_z[at] = of.scale(c) * g[at] * (T(1) - f[at] * f[at]); });
  });
  return result;
}

// The derivative by a layer's input from those by y and z.
Tensor by_input(const Layer& layer, const Tensor& by_output, const Tensor& by_z, std::optional<Tensor> out) {
  Tensor result = out ? *out : at::empty({by_z.size(0), layer.width_in()}, by_z.options());
  at::mm_out(result, by_z, layer.weight.t());
  for (int64_t n = 0; n < layer.repeats(); ++n)
    result.add_(by_output.narrow(1, n * layer.width_in(), layer.width_in()));
  return result;
}

// From u = ∂L/∂(∂E/∂x) and change = uW: the part of ∂L/∂z through f', ∂L/∂(∂E/∂y), ∂L/∂idt through ∂E/∂z.
std::tuple<Tensor, Tensor, Tensor> up(
    const Layer& layer, const Tensor& change, const Tensor& u, const Tensor& by_output, const Tensor& value) {
  Tensor second = at::empty_like(value), next = at::empty_like(value);
  Tensor by_idt = at::zeros({layer.width()}, value.options());
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "up", [&] {
    using T = scalar_t;
    const Numbers<T> of(layer, value.size(0));
    const T *d = in<T>(change), *before = in<T>(u), *g = in<T>(by_output), *f = in<T>(value);
    T *z = second.data_ptr<T>(), *y = next.data_ptr<T>(), *sum = by_idt.data_ptr<T>();
    of.each([&](int64_t at, int64_t row, int64_t c) {
      const T moved = d[at] * (T(1) - f[at] * f[at]);
      z[at] = T(-2) * f[at] * moved * g[at] * of.scale(c);
      y[at] = moved * of.scale(c) + of.skip(before, row, c);
      sum[c] += moved * g[at];
    });
  });
  return {second, next, by_idt};
}

// Adds to ∂L/∂z, in place, what comes from ∂L/∂y, and to ∂L/∂idt what comes through y; ∂L/∂b.
Tensor down_again(const Layer& layer, Tensor& by_z, const Tensor& by_output, const Tensor& value, Tensor& by_idt) {
  Tensor by_bias = at::zeros({layer.width()}, value.options());
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "down_again", [&] {
    using T = scalar_t;
    const Numbers<T> of(layer, value.size(0));
    const T *g = in<T>(by_output), *f = in<T>(value);
    T *z = by_z.data_ptr<T>(), *bias = by_bias.data_ptr<T>(), *sum = by_idt.data_ptr<T>();
    of.each([&](int64_t at, int64_t, int64_t c) {
      z[at] += of.scale(c) * g[at] * (T(1) - f[at] * f[at]);
      bias[c] += z[at];
      sum[c] += g[at] * f[at];
    });
  });
  return by_bias;
}

// Fills energy (n,) and ∂E/∂D (n, n_in); for each layer x, tanh(z), ∂E/∂y and ∂E/∂z.
std::vector<Tensor> fitting_evaluate(
    const Tensor& descriptor, Tensor energy, Tensor gradient, const Tensor& weight, const Tensor& bias,
    at::TensorList parameters) {
  const auto layers = layers_of(parameters);
  std::vector<Tensor> states(4 * layers.size());
  Tensor x = descriptor;
  for (size_t n = 0; n < layers.size(); ++n) {
    states[4 * n] = x;
    states[4 * n + 1] = at::addmm(layers[n].bias, x, layers[n].weight).tanh_();
    x = output(layers[n], states[4 * n + 1], x);
  }
  at::addmv_out(energy, bias.expand({x.size(0)}), x, weight.squeeze(1));
  Tensor by_output = weight.t().expand({x.size(0), weight.size(0)}).contiguous();
  for (size_t n = layers.size(); n-- > 0;) {
    states[4 * n + 2] = by_output;
    states[4 * n + 3] = down(layers[n], by_output, states[4 * n + 1]);
    by_output = by_input(layers[n], by_output, states[4 * n + 3],
                         n ? std::nullopt : std::optional<Tensor>(gradient));
  }
  return states;
}

// Gradients by weight, bias and `parameters`, in this order; fills the one by the descriptor.
std::vector<Tensor> fitting_backward(
    at::TensorList states, const Tensor& of_energy, const Tensor& of_gradient, Tensor by_descriptor,
    const Tensor& weight, at::TensorList parameters) {
  const auto layers = layers_of(parameters);
  std::vector<Tensor> ups{of_gradient}, second(layers.size()), by_idt(layers.size());
  for (size_t n = 0; n < layers.size(); ++n) {
    Tensor next;
    std::tie(second[n], next, by_idt[n]) = up(layers[n], at::mm(ups[n], layers[n].weight), ups[n],
                                              states[4 * n + 2], states[4 * n + 1]);
    ups.push_back(next);
  }
  const size_t last = layers.size() - 1;
  const Tensor y = output(layers[last], states[4 * last + 1], states[4 * last]);
  std::vector<Tensor> found(2 + parameters.size());
  found[0] = at::mv(y.t(), of_energy).add_(ups.back().sum(0)).unsqueeze(1);
  found[1] = of_energy.sum().reshape({1});

  Tensor by_output = at::outer(of_energy, weight.squeeze(1));
  for (size_t n = layers.size(); n-- > 0;) {
    found[2 + 3 * n + 1] = down_again(layers[n], second[n], by_output, states[4 * n + 1], by_idt[n]);
    by_output = by_input(layers[n], by_output, second[n],
                         n ? std::nullopt : std::optional<Tensor>(by_descriptor));
    found[2 + 3 * n] = at::mm(ups[n].t(), states[4 * n + 3]).addmm_(states[4 * n].t(), second[n]);
    found[2 + 3 * n + 2] = layers[n].idt.numel() ? by_idt[n] : layers[n].idt;
  }
  return found;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(spinpot, library) {
  library.def(
      "fitting_evaluate(Tensor descriptor, Tensor(a!) energy, Tensor(b!) gradient, Tensor weight, Tensor bias, "
      "Tensor[] parameters) -> Tensor[]",
      &fitting_evaluate);
  library.def(
      "fitting_backward(Tensor[] states, Tensor of_energy, Tensor of_gradient, Tensor(a!) by_descriptor, "
      "Tensor weight, Tensor[] parameters) -> Tensor[]",
      &fitting_backward);
}
