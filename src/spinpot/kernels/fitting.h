// The fitting net of one element, with the formulas of spinpot.models.deepspin.fitting. Its inputs are D in the layout
// of DescriptorShape: if two numbers of D are one input, this input has the sum of their weights.

#pragma once

#include <vector>

#include "contraction.h"
#include "layers.h"

namespace spinpot {

// Parameters of K fitting nets side by side, or gradients with respect to them: weight (K, n_out) and bias (K,) of the last
// layer, and the hidden layers.
template <typename T>
struct FittingNets {
  typename Nets<T>::Void *weights, *biases;
  Nets<T> hidden;

  T* weight(int64_t net) const { return static_cast<T*>(weights) + net * hidden.widths[hidden.layers]; }
  T* bias(int64_t net) const { return static_cast<T*>(biases) + net; }
};

// Data of n atoms at a layer, kept for the backward pass. The factors of ∂L/∂W = xᵀ ∂L/∂z + uᵀ ∂E/∂z are stored one above
// the other, so that one product gives both: inputs has x and u = ∂L/∂(∂E/∂x), by_z has ∂L/∂z and ∂E/∂z. by_output is ∂E/∂y.
template <typename T>
struct FittingState {
  Matrix<T> inputs, by_z, by_output;
  Activated<T> activated;
};

// Data of n atoms at all layers. outputs (2n, n_out): y of the last hidden layer above its u.
template <typename T>
struct FittingStates {
  std::vector<FittingState<T>> layers;
  Matrix<T> outputs;
};

template <typename T>
class FittingNet {
 public:
  // Net k of `nets`, which the caller keeps.
  FittingNet(const FittingNets<const T>& nets, int64_t k, const Activation& activation, const DescriptorShape& shape);

  // Replaces the first axis² rows of W by the summed weights of the numbers of D that are one input. To be called first.
  void fold(Workspace& memory);

  // Fills energy (n,) for the descriptors D, the upper half of rows (2n, n_in), and ∂E/∂D (n, n_in) unless by_descriptor
  // has no rows. curved: whether `backward` will use the states.
  FittingStates<T> evaluate(Workspace& memory, const Matrix<T>& rows, T* energy, const Matrix<T>& by_descriptor,
                            bool curved) const;

  // Fills ∂L/∂D unless by_descriptor has no rows, and this net's gradients with respect to the parameters. by_energy: ∂L/∂E.
  // The lower half of the `rows` given to `evaluate` has u = ∂L/∂(∂E/∂D).
  void backward(Workspace& memory, const FittingStates<T>& states, const T* by_energy, const Matrix<T>& by_descriptor,
                const FittingNets<T>& gradients) const;

 private:
  void by_weight(Workspace& memory, const Layer<T>& layer, const In<T>& x, const In<T>& by_z, T* gradient) const;
  Matrix<T> last(Workspace& memory, const Matrix<T>& outputs, const T* by_energy,
                 const FittingNets<T>& gradients) const;

  const T *weight_, *bias_;
  std::vector<Layer<T>> layers_;
  int64_t net_;
  DescriptorShape shape_;
  Activation activation_;
};

extern template class FittingNet<double>;
extern template class FittingNet<float>;

}  // namespace spinpot
