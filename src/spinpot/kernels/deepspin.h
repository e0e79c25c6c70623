// DeepSPIN for many batches with the same parameters, such as the steps of dynamics.

#pragma once

#include <memory>

#include "interface.h"

namespace spinpot {

// Quantities that depend only on parameters and nodes are computed once.
class PreparedDeepSpin {
 public:
  virtual ~PreparedDeepSpin() = default;
  // Like spinpot_deepspin_forward without `kept`. `in` may have another batch, but the same parameters and nodes.
  virtual void evaluate(const spinpot_deepspin& in, const spinpot_derivatives& out) const = 0;
};

// The caller keeps the parameters and nodes of `in` unchanged. The batch of `in` is not used.
std::unique_ptr<PreparedDeepSpin> prepare_deepspin(const spinpot_deepspin& in);

}  // namespace spinpot
