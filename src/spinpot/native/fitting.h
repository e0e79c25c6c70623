// The fitting net of one element: spinpot.models.deepspin.fitting, with the same formulas as there. Its inputs are D as
// DescriptorShape has it: where two numbers of D are one input, that has the sum of their weights.

#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "contraction.h"
#include "layers.h"

namespace spinpot {

template <typename T>
class FittingNet {
 public:
  // Net k of those that lie side by side. parameters: weight and bias of the last layer, then three for each
  // hidden one; kept by the caller.
  FittingNet(const std::vector<Tensor>& parameters, int64_t k, Activation activation, const DescriptorShape& shape)
      : weight_(of_net<T>(parameters[0], k)),
        bias_(of_net<T>(parameters[1], k)),
        layers_(layers_of<T>(at::TensorList(parameters).slice(2), k)),
        net_(k),
        shape_(shape),
        options_(parameters[0].options()),
        activation_(std::move(activation)) {}

  // Fills energy (n,) for the descriptors D = rows[:n] of rows (2n, n_in), and ∂E/∂D (n, n_in).
  void evaluate(const Tensor& rows, T* energy, const Matrix<T>& by_descriptor) {
    const int64_t n = rows.size(0) / 2;
    if (shape_.symmetric && !sums_.defined()) fold(layers_[0]);
    states_.clear();
    Tensor inputs = rows;
    for (const auto& layer : layers_) {
      states_.push_back({inputs, empty(2 * n, layer), empty(n, layer), Activated<T>(empty(n, layer))});
      State& state = states_.back();
      affine(layer, upper<T>(inputs), writable<T>(state.activated.value));
      state.activated.apply(activation_);
      inputs = empty(2 * n, layer);
      output(layer, state.value(), upper<T>(state.inputs), upper<T>(inputs));
    }
    outputs_ = inputs;
    const auto y = upper<T>(outputs_);
    const auto by_output = writable<T>(states_.back().by_output);
    for (int64_t i = 0; i < n; ++i) {
      energy[i] = *bias_;
      for (int64_t c = 0; c < y.columns; ++c) energy[i] += y.at(i, 0)[c] * weight_[c];
      std::copy_n(weight_, y.columns, by_output.at(i, 0));
    }
    for (size_t l = layers_.size(); l-- > 0;) {
      const auto& state = states_[l];
      const auto by_y = matrix<T>(state.by_output), by_z = lower<T>(state.by_z);
      down(layers_[l], by_y, state.slope(), by_z);
      by_input(layers_[l], by_y, by_z, l ? writable<T>(states_[l - 1].by_output) : by_descriptor);
    }
  }

  // From u = ∂L/∂(∂E/∂D) in the lower half of `rows` and ∂L/∂E: fills ∂L/∂D, and this net's part of the
  // gradients by the parameters.
  void backward(const T* by_energy, const Matrix<T>& by_descriptor, const std::vector<Tensor>& gradients) {
    const auto own = [&](size_t l, size_t m) { return of_net<T>(gradients[2 + 3 * l + m], net_); };
    for (size_t l = 0; l < layers_.size(); ++l)
      up(layers_[l], states_[l], l + 1 < layers_.size() ? states_[l + 1].inputs : outputs_, own(l, 2));
    Tensor by_output = last(by_energy, of_net<T>(gradients[0], net_), of_net<T>(gradients[1], net_));
    for (size_t l = layers_.size(); l-- > 0;) {
      const auto& layer = layers_[l];
      const auto& state = states_[l];
      down_again(layer, state, matrix<T>(by_output), own(l, 1), own(l, 2));
      by_weight(layer, matrix<T>(state.inputs), matrix<T>(state.by_z), own(l, 0));
      const Tensor by_x = l ? empty(by_output.size(0), layers_[l - 1]) : Tensor();
      by_input(layer, matrix<T>(by_output), upper<T>(state.by_z), l ? writable<T>(by_x) : by_descriptor);
      by_output = by_x;
    }
  }

 private:
  // Two things that meet in one product, ∂L/∂W = xᵀ ∂L/∂z + uᵀ ∂E/∂z, lie one above the other:
  // inputs has x and u = ∂L/∂(∂E/∂x), by_z has ∂L/∂z and ∂E/∂z. by_output is ∂E/∂y.
  struct State {
    Tensor inputs, by_z, by_output;
    Activated<T> activated;

    Matrix<const T> value() const { return matrix<T>(activated.value); }
    Matrix<const T> slope() const { return matrix<T>(activated.slope); }
    Matrix<const T> curvature() const { return matrix<T>(activated.curvature); }
  };

  // Sums the weights of numbers of D that are one input, in place of the first axis² rows of W.
  void fold(Layer<T>& layer) {
    const int64_t n = shape_.symmetric, width = layer.width();
    sums_ = at::empty({shape_.triangle(), width}, options_);
    T* sum = sums_.data_ptr<T>();
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k <= i; ++k, sum += width) {
        const T *one = layer.weight.at(i * n + k, 0), *other = layer.weight.at(k * n + i, 0);
        for (int64_t c = 0; c < width; ++c) sum[c] = i == k ? one[c] : one[c] + other[c];
      }
    layer.first = matrix<T>(sums_);
    layer.weight = layer.weight.of_rows(n * n, layer.weight.rows - n * n);
  }

  // Fills ∂L/∂W; of numbers that are one input both weights have the gradient of their sum.
  void by_weight(const Layer<T>& layer, const In<T>& x, const In<T>& by_z, T* gradient) const {
    const int64_t width = layer.width(), n = layer.first.rows ? shape_.symmetric : 0;
    multiply<T>(of_others(layer, x).transposed(), by_z, matrix(gradient + n * n * width, layer.weight.rows, width));
    if (n == 0) return;
    const Tensor by_sums = at::empty_like(sums_);
    multiply<T>(of_first(layer, x).transposed(), by_z, writable<T>(by_sums));
    const T* sum = numbers<T>(by_sums);
    for (int64_t i = 0; i < n; ++i)
      for (int64_t k = 0; k <= i; ++k, sum += width)
        for (const int64_t row : {i * n + k, k * n + i}) std::copy_n(sum, width, gradient + row * width);
  }

  Tensor empty(int64_t n, const Layer<T>& layer) const {
    return at::empty({n, layer.width()}, options_);
  }

  // Fills the part of ∂L/∂z that comes through f', and u of what follows; the part of ∂L/∂idt through ∂E/∂z.
  void up(const Layer<T>& layer, const State& state, const Tensor& following, T* by_idt) const {
    const auto u = lower<T>(state.inputs), by_z = upper<T>(state.by_z), next = lower<T>(following);
    const Tensor product = empty(u.rows, layer);
    const auto change = writable<T>(product);
    times_weight<T>(layer, u, change, false);
    each_part(layer, [&](int64_t begin, int64_t end) {
      if (by_idt) std::fill(by_idt + begin, by_idt + end, T(0));
      for (int64_t i = 0; i < u.rows; ++i) {
        const T *d = change.at(i, 0), *g = state.by_output.template const_data_ptr<T>() + i * layer.width();
        const T *df = state.slope().at(i, 0), *ddf = state.curvature().at(i, 0);
        T *z = by_z.at(i, 0), *y = next.at(i, 0);
        for (int64_t c = begin; c < end; ++c) {
          z[c] = layer.scale(c) * d[c] * g[c] * ddf[c];
          y[c] = layer.scale(c) * d[c] * df[c];
        }
        add_skip(layer, u.at(i, 0), begin, end, y);
        if (by_idt)
          for (int64_t c = begin; c < end; ++c) by_idt[c] += d[c] * g[c] * df[c];
      }
    });
  }

  // Fills the gradients by the last layer's parameters; ∂L/∂y of the layer before it.
  Tensor last(const T* by_energy, T* by_weight, T* by_bias) const {
    const auto y = upper<T>(outputs_), u = lower<T>(outputs_);
    const Tensor result = empty(y.rows, layers_.back());
    std::fill_n(by_weight, y.columns, T(0));
    *by_bias = 0;
    for (int64_t i = 0; i < y.rows; ++i) {
      T* by_output = result.data_ptr<T>() + i * y.columns;
      for (int64_t c = 0; c < y.columns; ++c) {
        by_weight[c] += by_energy[i] * y.at(i, 0)[c] + u.at(i, 0)[c];
        by_output[c] = by_energy[i] * weight_[c];
      }
      *by_bias += by_energy[i];
    }
    return result;
  }

  // Adds to ∂L/∂z what comes from ∂L/∂y, and to ∂L/∂idt what comes through y; fills ∂L/∂b.
  static void down_again(const Layer<T>& layer, const State& state, const In<T>& by_output, T* by_bias,
                         T* by_idt) {
    const auto by_z = upper<T>(state.by_z);
    each_part(layer, [&](int64_t begin, int64_t end) {
      std::fill(by_bias + begin, by_bias + end, T(0));
      for (int64_t i = 0; i < by_z.rows; ++i) {
        const T *g = by_output.at(i, 0), *f = state.value().at(i, 0), *df = state.slope().at(i, 0);
        T* z = by_z.at(i, 0);
        for (int64_t c = begin; c < end; ++c) {
          z[c] += layer.scale(c) * g[c] * df[c];
          by_bias[c] += z[c];
        }
        if (by_idt)
          for (int64_t c = begin; c < end; ++c) by_idt[c] += g[c] * f[c];
      }
    });
  }

  const T *weight_, *bias_;
  std::vector<Layer<T>> layers_;
  int64_t net_;
  DescriptorShape shape_;
  Tensor sums_;
  at::TensorOptions options_;
  Activation activation_;
  std::vector<State> states_;
  Tensor outputs_;
};

}  // namespace spinpot
