// Embedding nets at their nodes: spinpot.model.networks, with each net a chain of products on one thread.

#pragma once

#include <ATen/ops/addmm.h>
#include <ATen/ops/zeros_like.h>

#include <string>
#include <utility>

#include "layers.h"
#include "parallel.h"

namespace spinpot {

class EmbeddingNets {
 public:
  // parameters: of K nets side by side, three for each layer. numbers (C,): the net of each chunk of nodes.
  EmbeddingNets(std::vector<Tensor> parameters, Activation activation, const Tensor& numbers)
      : parameters_(std::move(parameters)), activation_(std::move(activation)) {
    const int64_t* net = indices(numbers);
    for (int64_t c = 0; c < numbers.numel(); ++c) {
      if (runs_.empty() || runs_.back().net != net[c]) runs_.push_back({net[c], c, c, {}});
      runs_.back().end = c + 1;
    }
  }

  // G at points (C, n, 1), (C, n, M).
  Tensor evaluate(const Tensor& points) {
    Tensor values = at::empty({points.size(0), points.size(1), width()}, points.options());
    each_run([&](Run& run) {
      Tensor x = run.rows(points);
      run.states.clear();
      for (const auto& layer : layers_of_net(parameters_, run.net)) {
        run.states.push_back({x, Activated(activation_, at::addmm(layer.bias, x, layer.weight))});
        const Tensor& value = run.states.back().activated.value;
        const bool last = run.states.size() == parameters_.size() / 3;
        const Tensor y = last ? run.rows(values) : at::empty_like(value);
        output(layer, value, x, y);
        x = y;
      }
    });
    return values;
  }

  // Gradients by the parameters, in their order, from those by G.
  std::vector<Tensor> backward(const Tensor& by_values) {
    std::vector<Tensor> gradients;
    for (const auto& parameter : parameters_) gradients.push_back(at::zeros_like(parameter));
    each_run([&](Run& run) {
      const auto layers = layers_of_net(parameters_, run.net), by_layers = layers_of_net(gradients, run.net);
      Tensor by_output = run.rows(by_values);
      for (size_t n = layers.size(); n-- > 0;) {
        const auto& [x, activated] = run.states[n];
        Tensor by_z = at::empty_like(activated.slope), by_bias = by_layers[n].bias, by_weight = by_layers[n].weight;
        down(layers[n], by_output, activated.slope, by_z);
        by_weight.addmm_(x.t(), by_z);
        by_bias.add_(by_z.sum(0));
        if (Tensor by_idt = by_layers[n].idt; by_idt.numel()) by_idt.add_((by_output * activated.value).sum(0));
        if (n) by_output = by_input(layers[n], by_output, by_z);
      }
    });
    return gradients;
  }

 private:
  struct State {
    Tensor x;
    Activated activated;
  };

  // Consecutive chunks of one net.
  struct Run {
    int64_t net, begin, end;
    std::vector<State> states;

    Tensor rows(const Tensor& values) const { return values.narrow(0, begin, end - begin).flatten(0, 1); }
  };

  int64_t width() const { return parameters_[parameters_.size() - 3].size(2); }

  // Layers of net k, which share the numbers of `parameters`.
  static std::vector<Layer> layers_of_net(const std::vector<Tensor>& parameters, int64_t k) {
    std::vector<Layer> layers;
    for (const auto& all : layers_of(parameters))
      layers.push_back({all.weight.select(0, k), all.bias.select(0, k).flatten(),
                        all.idt.numel() ? all.idt.select(0, k).flatten() : all.idt});
    return layers;
  }

  // body(run) for all of them, those of one net on one thread.
  template <typename Body>
  void each_run(const Body& body) {
    side_by_side(parameters_[0].size(0), 1, [&](int64_t net) {
      for (auto& run : runs_)
        if (run.net == net) body(run);
    });
  }

  std::vector<Tensor> parameters_;
  Activation activation_;
  std::vector<Run> runs_;
};

}  // namespace spinpot
