// The fitting net of one element: spinpot.model.fitting, with the same formulas as there.

#pragma once

#include <ATen/ops/addmm.h>
#include <ATen/ops/addmv.h>
#include <ATen/ops/mv.h>
#include <ATen/ops/outer.h>
#include <ATen/ops/zeros.h>

#include <string>
#include <utility>

#include "layers.h"

namespace spinpot {

class FittingNet {
 public:
  // parameters: weight and bias of the last layer, then three for each hidden one.
  FittingNet(at::TensorList parameters, Activation activation)
      : weight_(parameters[0]),
        bias_(parameters[1]),
        layers_(layers_of(parameters.slice(2))),
        activation_(std::move(activation)) {}

  // Fills energy (n,) for the descriptors D = rows[:n] of rows (2n, n_in); returns ∂E/∂D.
  Tensor evaluate(const Tensor& rows, Tensor energy) {
    states_.clear();
    Tensor inputs = rows;
    for (const auto& layer : layers_) {
      const Tensor x = upper(inputs);
      states_.push_back({inputs, both_halves(x.size(0), layer), Tensor(),
                         Activated(activation_, at::addmm(layer.bias, x, layer.weight))});
      inputs = both_halves(x.size(0), layer);
      output(layer, states_.back().activated.value, x, upper(inputs));
    }
    outputs_ = inputs;
    const Tensor y = upper(outputs_);
    at::addmv_out(energy, bias_.expand({y.size(0)}), y, weight_.squeeze(1));
    Tensor by_output = weight_.t().expand({y.size(0), weight_.size(0)}).contiguous();
    for (size_t n = layers_.size(); n-- > 0;) {
      states_[n].by_output = by_output;
      down(layers_[n], by_output, states_[n].activated.slope, lower(states_[n].by_z));
      by_output = by_input(layers_[n], by_output, lower(states_[n].by_z));
    }
    return by_output;
  }

  // From u = ∂L/∂(∂E/∂D) in the lower half of `rows` and ∂L/∂E: ∂L/∂D, and the gradients by the parameters.
  std::pair<Tensor, std::vector<Tensor>> backward(const Tensor& of_energy) {
    std::vector<Tensor> by_idt;
    for (size_t n = 0; n < layers_.size(); ++n)
      by_idt.push_back(up(layers_[n], states_[n], n + 1 < layers_.size() ? states_[n + 1].inputs : outputs_));
    std::vector<Tensor> gradients(2 + 3 * layers_.size());
    gradients[0] = at::mv(upper(outputs_).t(), of_energy).add_(lower(outputs_).sum(0)).unsqueeze(1);
    gradients[1] = of_energy.sum().reshape({1});
    Tensor by_output = at::outer(of_energy, weight_.squeeze(1));
    for (size_t n = layers_.size(); n-- > 0;) {
      const auto& state = states_[n];
      gradients[2 + 3 * n + 1] = down_again(layers_[n], state, by_output, by_idt[n]);
      gradients[2 + 3 * n] = at::mm(state.inputs.t(), state.by_z);
      gradients[2 + 3 * n + 2] = layers_[n].idt.numel() ? by_idt[n] : layers_[n].idt;
      by_output = by_input(layers_[n], by_output, upper(state.by_z));
    }
    return {by_output, gradients};
  }

 private:
  // Two things that meet in one product, ∂L/∂W = xᵀ ∂L/∂z + uᵀ ∂E/∂z, lie one above the other:
  // inputs has x and u = ∂L/∂(∂E/∂x), by_z has ∂L/∂z and ∂E/∂z. by_output is ∂E/∂y.
  struct State {
    Tensor inputs, by_z, by_output;
    Activated activated;
  };

  static Tensor upper(const Tensor& rows) { return rows.narrow(0, 0, rows.size(0) / 2); }
  static Tensor lower(const Tensor& rows) { return rows.narrow(0, rows.size(0) / 2, rows.size(0) / 2); }
  static Tensor both_halves(int64_t n, const Layer& layer) {
    return at::empty({2 * n, layer.width()}, layer.weight.options());
  }

  // Fills the part of ∂L/∂z that comes through f', and u of what follows; the part of ∂L/∂idt through ∂E/∂z.
  static Tensor up(const Layer& layer, const State& state, const Tensor& following) {
    const Tensor u = lower(state.inputs), change = at::mm(u, layer.weight);
    const Tensor second = upper(state.by_z), next = lower(following);
    Tensor by_idt = at::zeros({layer.width()}, change.options());
    AT_DISPATCH_FLOATING_TYPES(change.scalar_type(), "up", [&] {
      using T = scalar_t;
      const Columns<T> of(layer, change.size(0));
      const T *d = numbers<T>(change), *before = numbers<T>(u), *g = numbers<T>(state.by_output);
      const T *df = numbers<T>(state.activated.slope), *ddf = numbers<T>(state.activated.curvature);
      T *z = second.data_ptr<T>(), *y = next.data_ptr<T>(), *sum = by_idt.data_ptr<T>();
      of.each([&](int64_t at, int64_t row, int64_t c) {
        z[at] = of.scale(c) * d[at] * g[at] * ddf[at];
        y[at] = of.scale(c) * d[at] * df[at] + of.skip(before, row, c);
        sum[c] += d[at] * g[at] * df[at];
      });
    });
    return by_idt;
  }

  // Adds to ∂L/∂z what comes from ∂L/∂y, and to ∂L/∂idt what comes through y; ∂L/∂b.
  static Tensor down_again(const Layer& layer, const State& state, const Tensor& by_output, Tensor& by_idt) {
    const Tensor by_z = upper(state.by_z);
    Tensor by_bias = at::zeros({layer.width()}, by_z.options());
    AT_DISPATCH_FLOATING_TYPES(by_z.scalar_type(), "down_again", [&] {
      using T = scalar_t;
      const Columns<T> of(layer, by_z.size(0));
      const T* g = numbers<T>(by_output);
      const T *f = numbers<T>(state.activated.value), *df = numbers<T>(state.activated.slope);
      T *z = by_z.data_ptr<T>(), *bias = by_bias.data_ptr<T>(), *sum = by_idt.data_ptr<T>();
      of.each([&](int64_t at, int64_t, int64_t c) {
        z[at] += of.scale(c) * g[at] * df[at];
        bias[c] += z[at];
        sum[c] += g[at] * f[at];
      });
    });
    return by_bias;
  }

  Tensor weight_, bias_;
  std::vector<Layer> layers_;
  Activation activation_;
  std::vector<State> states_;
  Tensor outputs_;
};

}  // namespace spinpot
