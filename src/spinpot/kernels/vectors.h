// Vectors of numbers that the processor handles with one instruction.

#pragma once

#include <cstdint>

namespace spinpot {

#if defined(__AVX512F__)
constexpr int64_t BYTES = 64;
#elif defined(__AVX2__)
constexpr int64_t BYTES = 32;
#else
constexpr int64_t BYTES = 16;
#endif

constexpr int64_t LINE_BYTES = 64;  // size of a cache line

template <typename T>
struct Lanes {
  typedef T Vector __attribute__((vector_size(BYTES), aligned(alignof(T)), may_alias));
  static constexpr int64_t count = BYTES / sizeof(T);
};

}  // namespace spinpot
