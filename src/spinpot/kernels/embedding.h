// The embedding nets of spinpot.models.deepspin.networks, evaluated at their nodes. Each net runs on one thread.

#pragma once

#include <vector>

#include "layers.h"

namespace spinpot {

template <typename T>
class EmbeddingNets {
 public:
  // nets: `count` nets side by side, kept by the caller. numbers (C,): the net of each chunk of nodes. A chunk has `chunk`
  // nodes.
  EmbeddingNets(const Nets<const T>& nets, int64_t count, const Activation& activation, const int64_t* numbers,
                int64_t chunks, int64_t chunk)
      : nets_(nets), count_(count), activation_(activation) {
    for (int64_t c = 0; c < chunks; ++c) {
      if (runs_.empty() || runs_.back().net != numbers[c]) runs_.push_back({numbers[c], c * chunk, 0});
      runs_.back().count += chunk;
    }
  }

  // G (n, M) at points (n, 1).
  Matrix<T> evaluate(Workspace& memory, const In<T>& points) {
    states_.clear();
    In<T> x = points;
    for (int64_t l = 0; l < nets_.layers; ++l) {
      const int64_t width = nets_.widths[l + 1];
      states_.push_back({x, matrix<T>(memory, x.rows, width), Activated<T>(memory, x.rows, width, false)});
      x = states_.back().y;
    }
    each_net([](int64_t) {}, [&](const Run& run) {
      for (int64_t l = 0; l < nets_.layers; ++l) {
        const auto& [input, y, activated] = states_[l];
        const auto layer = nets_.layer(l, run.net);
        const auto x = run.rows(input);
        const auto value = run.rows(activated.value);
        affine<T>(layer, x, value);
        activated.apply(activation_, run.first, run.count);
        output<T>(layer, value, x, run.rows(y));
      }
    });
    return states_.back().y;
  }

  // Fills the gradients with respect to the parameters from those with respect to G.
  void backward(Workspace& memory, const In<T>& by_values, const Nets<T>& gradients) const {
    std::vector<Matrix<T>> by_zs, by_xs;
    for (const auto& state : states_) {
      by_zs.push_back(matrix<T>(memory, state.y.rows, state.y.columns));
      by_xs.push_back(matrix<T>(memory, state.x.rows, state.x.columns));
    }
    const auto zero = [&](int64_t l, int64_t net) {
      const int64_t width = nets_.widths[l + 1];
      std::fill_n(gradients.weight(l, net), nets_.widths[l] * width, T(0));
      std::fill_n(gradients.bias(l, net), width, T(0));
      if (gradients.idt(l, net)) std::fill_n(gradients.idt(l, net), width, T(0));
    };
    const auto add = [&](const Run& run) {
      for (int64_t l = nets_.layers; l-- > 0;) {
        const auto layer = nets_.layer(l, run.net);
        const auto& [input, y, activated] = states_[l];
        const auto by_z = run.rows(by_zs[l]);
        const In<T> by_y = run.rows(l + 1 < nets_.layers ? In<T>(by_xs[l + 1]) : by_values), x = run.rows(input);
        down<T>(layer, by_y, run.rows(activated.slope), by_z);
        multiply<T>(x.transposed(), by_z, matrix(gradients.weight(l, run.net), x.columns, layer.width()), true);
        add_rows<T>(by_z, gradients.bias(l, run.net));
        if (layer.idt) add_rows<T>(by_y, run.rows(activated.value), gradients.idt(l, run.net));
        if (l > 0) by_input<T>(layer, by_y, by_z, run.rows(by_xs[l]));
      }
    };
    each_net([&](int64_t net) { for (int64_t l = 0; l < nets_.layers; ++l) zero(l, net); }, add);
  }

 private:
  // Successive chunks of one net: a range of rows.
  struct Run {
    int64_t net, first, count;

    template <typename Of>
    Matrix<Of> rows(const Matrix<Of>& all) const { return all.of_rows(first, count); }
  };

  struct State {
    In<T> x;
    Matrix<T> y;
    Activated<T> activated;
  };

  // For each net calls begin_net(net), then body(run) for all its runs. All calls for one net are on one thread.
  template <typename Begin, typename Body>
  void each_net(const Begin& begin_net, const Body& body) const {
    parallel(count_, 1, [&](int64_t begin, int64_t end) {
      for (int64_t net = begin; net < end; ++net) {
        begin_net(net);
        for (const auto& run : runs_)
          if (run.net == net) body(run);
      }
    });
  }

  Nets<const T> nets_;
  int64_t count_;
  Activation activation_;
  std::vector<Run> runs_;
  std::vector<State> states_;
};

}  // namespace spinpot
