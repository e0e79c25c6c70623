// Layers of networks (spinpot.model.networks): what lies between two matrix products, in one loop.

#pragma once

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mm.h>

#include <vector>

#include "activations.h"
#include "tensors.h"

namespace spinpot {

constexpr int64_t COLUMNS = 64;  // of a layer, for a thread at once

// y = idt ⊙ f(xW + b) + skip of x; an idt of no numbers stands for none.
struct Layer {
  Tensor weight, bias, idt;

  int64_t width_in() const { return weight.size(0); }
  int64_t width() const { return weight.size(1); }
  int64_t repeats() const { return width() == width_in() ? 1 : width() == 2 * width_in() ? 2 : 0; }
};

// Layers from their parameters, three each.
inline std::vector<Layer> layers_of(at::TensorList parameters) {
  std::vector<Layer> layers;
  for (size_t n = 0; n + 2 < parameters.size(); n += 3)
    layers.push_back({parameters[n], parameters[n + 1], parameters[n + 2]});
  return layers;
}

// A layer's numbers for `rows` inputs.
template <typename T>
struct Columns {
  const T* idt;  // null where there is none
  int64_t rows, width, width_in;
  bool skips;

  Columns(const Layer& layer, int64_t rows)
      : idt(layer.idt.numel() ? numbers<T>(layer.idt) : nullptr),
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

// y from f(z) and x, into out.
inline void output(const Layer& layer, const Tensor& value, const Tensor& x, const Tensor& out) {
  AT_DISPATCH_FLOATING_TYPES(value.scalar_type(), "output", [&] {
    using T = scalar_t;
    const Columns<T> of(layer, value.size(0));
    const T *f = numbers<T>(value), *skipped = numbers<T>(x);
    T* y = out.data_ptr<T>();
    of.each([&](int64_t at, int64_t row, int64_t c) { y[at] = of.scale(c) * f[at] + of.skip(skipped, row, c); });
  });
}

// ∂E/∂z = idt ⊙ ∂E/∂y ⊙ f', into out.
inline void down(const Layer& layer, const Tensor& by_output, const Tensor& slope, const Tensor& out) {
  AT_DISPATCH_FLOATING_TYPES(slope.scalar_type(), "down", [&] {
    using T = scalar_t;
    const Columns<T> of(layer, slope.size(0));
    const T *g = numbers<T>(by_output), *df = numbers<T>(slope);
    T* by_z = out.data_ptr<T>();
    of.each([&](int64_t at, int64_t, int64_t c) { by_z[at] = of.scale(c) * g[at] * df[at]; });
  });
}

// The derivative by a layer's input from those by y and z.
inline Tensor by_input(const Layer& layer, const Tensor& by_output, const Tensor& by_z) {
  Tensor result = at::mm(by_z, layer.weight.t());
  for (int64_t n = 0; n < layer.repeats(); ++n)
    result.add_(by_output.narrow(1, n * layer.width_in(), layer.width_in()));
  return result;
}

}  // namespace spinpot
