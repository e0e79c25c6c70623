// DeepSPIN for many batches with the same parameters, as in dynamics.

#pragma once

#include <memory>

#include "interface.h"

namespace spinpot {

// Quantities that depend only on parameters and nodes are computed once.
class PreparedDeepSpin {
 public:
  virtual ~PreparedDeepSpin() = default;
  // As spinpot_deepspin_forward with nothing kept, of any batch for the same parameters and nodes.
  virtual void evaluate(const spinpot_deepspin& in, const spinpot_derivatives& out) const = 0;
};

// The caller must not change the parameters and nodes; the batch does not matter.
std::unique_ptr<PreparedDeepSpin> prepare_deepspin(const spinpot_deepspin& in);

}  // namespace spinpot
