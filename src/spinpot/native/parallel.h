// Several calls side by side, each on one thread.

#pragma once

#include <ATen/Parallel.h>
#include <ATen/ThreadLocalState.h>

namespace spinpot {

// body(i) for i < count, at least `grain` on a thread, in the modes of torch (of inference, of gradients) of
// the calling one.
template <typename Body>
void side_by_side(int64_t count, int64_t grain, const Body& body) {
  const at::ThreadLocalState here;
  at::parallel_for(0, count, grain, [&](int64_t begin, int64_t end) {
    const at::ThreadLocalStateGuard same(here);
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

}  // namespace spinpot
