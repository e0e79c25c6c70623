// Embedding nets at their nodes: spinpot.models.deepspin.networks, with each net on one thread.

#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

#include "layers.h"
#include "parallel.h"

namespace spinpot {

template <typename T>
class EmbeddingNets {
 public:
  // parameters: of K nets side by side, three for each layer. numbers (C,): the net of each chunk of nodes.
  // Chunks have `chunk` nodes each.
  EmbeddingNets(std::vector<Tensor> parameters, Activation activation, const Tensor& numbers, int64_t chunk)
      : parameters_(std::move(parameters)), activation_(std::move(activation)), nets_(parameters_[0].size(0)) {
    const int64_t* net = indices(numbers);
    for (int64_t c = 0; c < numbers.numel(); ++c) {
      if (runs_.empty() || runs_.back().net != net[c]) runs_.push_back({net[c], c * chunk, 0});
      runs_.back().count += chunk;
    }
  }

  // G at points (C, n, 1), (C, n, M).
  Tensor evaluate(const Tensor& points) {
    states_.clear();
    Tensor x = points.flatten(0, 1);
    for (size_t n = 0; n < parameters_.size(); n += 3) {
      const Tensor z = at::empty({x.size(0), parameters_[n].size(2)}, x.options());
      states_.push_back({x, at::empty_like(z), Activated<T>(z)});
      x = states_.back().y;
    }
    each_run([&](const Run& run) {
      for (size_t n = 0; n < states_.size(); ++n) {
        auto& [x, y, activated] = states_[n];
        const auto layer = this->layer(n, run);
        const auto input = run.rows(matrix<T>(x)), value = run.rows(writable<T>(activated.value));
        affine(layer, input, value);
        activated.apply(activation_, run.first, run.count);
        output(layer, value, input, run.rows(writable<T>(y)));
      }
    });
    return x.view({points.size(0), points.size(1), x.size(1)});
  }

  // Gradients by the parameters, in their order, from those by G.
  std::vector<Tensor> backward(const Tensor& by_values) {
    std::vector<Tensor> gradients, by_outputs{by_values.flatten(0, 1)}, by_zs;
    for (const auto& parameter : parameters_) gradients.push_back(at::zeros_like(parameter));
    for (size_t n = states_.size(); n-- > 0;) {
      by_zs.push_back(at::empty_like(states_[n].y));
      by_outputs.push_back(at::empty_like(states_[n].x));
    }
    each_run([&](const Run& run) {
      for (size_t n = states_.size(), up = 0; n-- > 0; ++up) {
        const auto& [input, y, activated] = states_[n];
        const auto layer = this->layer(n, run);
        const auto by_z = run.rows(writable<T>(by_zs[up])), by_x = run.rows(writable<T>(by_outputs[up + 1]));
        const auto by_y = run.rows(matrix<T>(by_outputs[up])), x = run.rows(matrix<T>(input));
        down(layer, by_y, run.rows(matrix<T>(activated.slope)), by_z);
        const auto own = [&](size_t m) { return of_net<T>(gradients[3 * n + m], run.net); };
        multiply(x.transposed(), Matrix<const T>(by_z), matrix(own(0), layer.width_in(), layer.width()), true);
        add_rows(by_z, own(1));
        if (layer.idt) add_rows(by_y, run.rows(matrix<T>(activated.value)), own(2));
        if (n > 0) by_input(layer, by_y, Matrix<const T>(by_z), by_x);
      }
    });
    return gradients;
  }

 private:
  // Chunks of one net that follow each other, as rows of all numbers.
  struct Run {
    int64_t net, first, count;

    template <typename Of>
    Matrix<Of> rows(const Matrix<Of>& all) const { return all.of_rows(first, count); }
  };

  struct State {
    Tensor x, y;
    Activated<T> activated;
  };

  Layer<T> layer(size_t n, const Run& run) const {
    return layers_of<T>(at::TensorList(parameters_).slice(3 * n, 3), run.net)[0];
  }

  // body(run) for all of them, those of one net on one thread.
  template <typename Body>
  void each_run(const Body& body) const {
    side_by_side(nets_, 1, [&](int64_t net) {
      for (const auto& run : runs_)
        if (run.net == net) body(run);
    });
  }

  std::vector<Tensor> parameters_;
  Activation activation_;
  int64_t nets_;
  std::vector<Run> runs_;
  std::vector<State> states_;
};

}  // namespace spinpot
