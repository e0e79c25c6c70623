// Checks whether numbers are finite, for spinpot.training.step.

#include <algorithm>
#include <cmath>

#include "interface.h"

namespace {

template <typename T>
bool all_finite(const void* numbers, int64_t count) {
  const T* first = static_cast<const T*>(numbers);
  return std::all_of(first, first + count, [](T number) { return std::isfinite(number); });
}

}  // namespace

int spinpot_all_finite(const void* numbers, int64_t count, int single) {
  return !(single ? all_finite<float>(numbers, count) : all_finite<double>(numbers, count));
}
