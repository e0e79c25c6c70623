// Embedding nets at their nodes: spinpot.model.networks, with each net on one thread.

#pragma once

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros_like.h>

#include <utility>

#include "layers.h"

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
    for (size_t n = 0; n < parameters_.size() / 3; ++n) {
      const Tensor z = at::empty({x.size(0), parameters_[3 * n].size(2)}, x.options()), y = at::empty_like(z);
      each_run([&](const Run& run) { affine(layer(n, run), run.rows(matrix<T>(x)), run.rows(writable<T>(z))); });
      states_.push_back({x, Activated<T>(activation_, z)});
      const auto value = matrix<T>(states_[n].activated.value);
      each_run([&](const Run& run) {
        output(layer(n, run), run.rows(value), run.rows(matrix<T>(x)), run.rows(writable<T>(y)));
      });
      x = y;
    }
    return x.view({points.size(0), points.size(1), x.size(1)});
  }

  // Gradients by the parameters, in their order, from those by G.
  std::vector<Tensor> backward(const Tensor& by_values) {
    std::vector<Tensor> gradients;
    for (const auto& parameter : parameters_) gradients.push_back(at::zeros_like(parameter));
    Tensor by_output = by_values.flatten(0, 1);
    for (size_t n = states_.size(); n-- > 0;) {
      const auto& [input, activated] = states_[n];
      const Tensor by_z = at::empty_like(activated.slope), by_x = at::empty_like(input);
      const auto x = matrix<T>(input), f = matrix<T>(activated.value), df = matrix<T>(activated.slope);
      const auto by_y = matrix<T>(by_output);
      each_run([&](const Run& run) {
        const auto layer = this->layer(n, run);
        const auto own_by_z = run.rows(writable<T>(by_z));
        down(layer, run.rows(by_y), run.rows(df), own_by_z);
        multiply(run.rows(x).transposed(), Matrix<const T>(own_by_z),
                 matrix(of_net(gradients[3 * n], run.net), layer.width_in(), layer.width()), true);
        add_rows(own_by_z, of_net(gradients[3 * n + 1], run.net));
        if (layer.idt) add_rows(run.rows(by_y), run.rows(f), of_net(gradients[3 * n + 2], run.net));
        if (n > 0) by_input(layer, run.rows(by_y), Matrix<const T>(own_by_z), run.rows(writable<T>(by_x)));
      });
      by_output = by_x;
    }
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
    Tensor x;
    Activated<T> activated;
  };

  Layer<T> layer(size_t n, const Run& run) const {
    return layers_of<T>(at::TensorList(parameters_).slice(3 * n, 3), run.net, nets_)[0];
  }

  T* of_net(const Tensor& all, int64_t net) const { return all.data_ptr<T>() + net * (all.numel() / nets_); }

  // body(run) for all of them, those of one net on one thread.
  template <typename Body>
  void each_run(const Body& body) const {
    at::parallel_for(0, nets_, 1, [&](int64_t begin, int64_t end) {
      for (const auto& run : runs_)
        if (begin <= run.net && run.net < end) body(run);
    });
  }

  std::vector<Tensor> parameters_;
  Activation activation_;
  int64_t nets_;
  std::vector<Run> runs_;
  std::vector<State> states_;
};

}  // namespace spinpot
