// DeepSPIN for many batches, as of a model in dynamics.

#pragma once

#include <memory>

#include "interface.h"

namespace spinpot {

// What parameters and nodes alone give is made once.
class PreparedDeepSpin {
 public:
  virtual ~PreparedDeepSpin() = default;
  // As spinpot_deepspin_forward with nothing kept, of any batch for the same parameters and nodes.
  virtual void evaluate(const spinpot_deepspin& in, const spinpot_derivatives& out) const = 0;
};

// Of parameters and nodes that the caller keeps as they are; the batch does not matter.
std::unique_ptr<PreparedDeepSpin> prepare_deepspin(const spinpot_deepspin& in);

}  // namespace spinpot
