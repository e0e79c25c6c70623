#include "fitting.h"

namespace spinpot {

namespace {

// Fills the part of ∂L/∂z that comes from f' in ∂E/∂z, u of the next layer (`next`), and the part of ∂L/∂idt that comes
// from ∂E/∂z.
template <typename T>
void up(Workspace& memory, const Layer<T>& layer, const FittingState<T>& state, const Matrix<T>& next, T* by_idt) {
  const auto u = state.inputs.lower(), by_z = state.by_z.upper();
  const auto change = matrix<T>(memory, u.rows, layer.width());
  times_weight<T>(layer, u, change, false);
  each_part(layer, [&](int64_t begin, int64_t end) {
    if (by_idt) std::fill(by_idt + begin, by_idt + end, T(0));
    for (int64_t i = 0; i < u.rows; ++i) {
      const T *d = change.row(i), *g = state.by_output.row(i);
      const T *df = state.activated.slope.row(i), *ddf = state.activated.curvature.row(i);
      T *z = by_z.row(i), *y = next.row(i);
      for (int64_t c = begin; c < end; ++c) {
        z[c] = layer.scale(c) * d[c] * g[c] * ddf[c];
        y[c] = layer.scale(c) * d[c] * df[c];
      }
      add_skip<T>(layer, u.row(i), begin, end, y);
      if (by_idt)
        for (int64_t c = begin; c < end; ++c) by_idt[c] += d[c] * g[c] * df[c];
    }
  });
}

// Adds the parts that come from ∂L/∂y to ∂L/∂z and ∂L/∂idt, and fills ∂L/∂b.
template <typename T>
void down_again(const Layer<T>& layer, const FittingState<T>& state, const In<T>& by_output, T* by_bias, T* by_idt) {
  const auto by_z = state.by_z.upper();
  each_part(layer, [&](int64_t begin, int64_t end) {
    std::fill(by_bias + begin, by_bias + end, T(0));
    for (int64_t i = 0; i < by_z.rows; ++i) {
      const T *g = by_output.row(i), *f = state.activated.value.row(i), *df = state.activated.slope.row(i);
      T* z = by_z.row(i);
      for (int64_t c = begin; c < end; ++c) {
        z[c] += layer.scale(c) * g[c] * df[c];
        by_bias[c] += z[c];
      }
      if (by_idt)
        for (int64_t c = begin; c < end; ++c) by_idt[c] += g[c] * f[c];
    }
  });
}

}  // namespace

template <typename T>
FittingNet<T>::FittingNet(const FittingNets<const T>& nets, int64_t k, const Activation& activation,
                          const DescriptorShape& shape)
    : weight_(nets.weight(k)), bias_(nets.bias(k)), net_(k), shape_(shape), activation_(activation) {
  for (int64_t l = 0; l < nets.hidden.layers; ++l) layers_.push_back(nets.hidden.layer(l, k));
}

template <typename T>
void FittingNet<T>::fold(Workspace& memory) {
  const int64_t n = shape_.symmetric, width = layers_[0].width();
  if (n == 0) return;
  Layer<T>& layer = layers_[0];
  T* sum = memory.numbers<T>(shape_.triangle() * width);
  layer.first = matrix<const T>(sum, shape_.triangle(), width);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k <= i; ++k, sum += width) {
      const T *one = layer.weight.row(i * n + k), *other = layer.weight.row(k * n + i);
      for (int64_t c = 0; c < width; ++c) sum[c] = i == k ? one[c] : one[c] + other[c];
    }
  layer.weight = layer.weight.of_rows(n * n, layer.weight.rows - n * n);
}

template <typename T>
FittingStates<T> FittingNet<T>::evaluate(Workspace& memory, const Matrix<T>& rows, T* energy,
                                         const Matrix<T>& by_descriptor, bool curved) const {
  const int64_t n = rows.rows / 2;
  FittingStates<T> states{{}, rows};
  for (const auto& layer : layers_) {
    const int64_t width = layer.width();
    states.layers.push_back({states.outputs, matrix<T>(memory, 2 * n, width), matrix<T>(memory, n, width),
                             Activated<T>(memory, n, width, curved)});
    const auto& [inputs, by_z, by_output, activated] = states.layers.back();
    affine<T>(layer, inputs.upper(), activated.value);
    activated.apply(activation_, 0, n);
    states.outputs = matrix<T>(memory, 2 * n, width);
    output<T>(layer, activated.value, inputs.upper(), states.outputs.upper());
  }
  const auto y = states.outputs.upper(), by_y = states.layers.back().by_output;
  for (int64_t i = 0; i < n; ++i) {
    energy[i] = *bias_;
    for (int64_t c = 0; c < y.columns; ++c) energy[i] += y.row(i)[c] * weight_[c];
    std::copy_n(weight_, y.columns, by_y.row(i));
  }
  for (size_t l = by_descriptor.rows > 0 ? layers_.size() : 0; l-- > 0;) {
    const auto& [inputs, by_z, by_output, activated] = states.layers[l];
    down<T>(layers_[l], by_output, activated.slope, by_z.lower());
    by_input<T>(layers_[l], by_output, by_z.lower(), l ? states.layers[l - 1].by_output : by_descriptor);
  }
  return states;
}

template <typename T>
void FittingNet<T>::backward(Workspace& memory, const FittingStates<T>& states, const T* by_energy,
                             const Matrix<T>& by_descriptor, const FittingNets<T>& gradients) const {
  const auto& hidden = gradients.hidden;
  for (size_t l = 0; l < layers_.size(); ++l) {
    const auto& next = l + 1 < layers_.size() ? states.layers[l + 1].inputs : states.outputs;
    up(memory, layers_[l], states.layers[l], next.lower(), hidden.idt(l, net_));
  }
  auto by_output = last(memory, states.outputs, by_energy, gradients);
  for (size_t l = layers_.size(); l-- > 0;) {
    const auto& layer = layers_[l];
    const auto& state = states.layers[l];
    down_again(layer, state, by_output, hidden.bias(l, net_), hidden.idt(l, net_));
    by_weight(memory, layer, state.inputs, state.by_z, hidden.weight(l, net_));
    if (l == 0 && by_descriptor.rows == 0) break;
    const auto by_x = l ? matrix<T>(memory, by_output.rows, layers_[l - 1].width()) : by_descriptor;
    by_input<T>(layer, by_output, state.by_z.upper(), by_x);
    by_output = by_x;
  }
}

// Fills ∂L/∂W. If two numbers of D are one input, both of their weights have the gradient of the summed weight.
template <typename T>
void FittingNet<T>::by_weight(Workspace& memory, const Layer<T>& layer, const In<T>& x, const In<T>& by_z,
                              T* gradient) const {
  const int64_t width = layer.width(), n = layer.first.rows ? shape_.symmetric : 0;
  multiply<T>(of_others(layer, x).transposed(), by_z, matrix(gradient + n * n * width, layer.weight.rows, width));
  if (n == 0) return;
  const auto by_sums = matrix<T>(memory, layer.first.rows, width);
  multiply<T>(of_first(layer, x).transposed(), by_z, by_sums);
  const T* sum = by_sums.numbers;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t k = 0; k <= i; ++k, sum += width)
      for (const int64_t row : {i * n + k, k * n + i}) std::copy_n(sum, width, gradient + row * width);
}

// Fills the gradients with respect to the last layer's parameters; returns ∂L/∂y of the layer before it.
template <typename T>
Matrix<T> FittingNet<T>::last(Workspace& memory, const Matrix<T>& outputs, const T* by_energy,
                              const FittingNets<T>& gradients) const {
  const auto y = outputs.upper(), u = outputs.lower();
  const auto result = matrix<T>(memory, y.rows, y.columns);
  T *by_weight = gradients.weight(net_), *by_bias = gradients.bias(net_);
  std::fill_n(by_weight, y.columns, T(0));
  *by_bias = 0;
  for (int64_t i = 0; i < y.rows; ++i) {
    for (int64_t c = 0; c < y.columns; ++c) {
      by_weight[c] += by_energy[i] * y.row(i)[c] + u.row(i)[c];
      result.row(i)[c] = by_energy[i] * weight_[c];
    }
    *by_bias += by_energy[i];
  }
  return result;
}

template class FittingNet<double>;
template class FittingNet<float>;

}  // namespace spinpot
