// Counter-based random numbers: Philox 4x32 with 10 rounds (Salmon, Moraes, Dror, Shaw, SC'11), and normal numbers from
// them by Box and Muller's formula.

#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace spinpot {

using FourWords = std::array<uint32_t, 4>;

inline FourWords philox(FourWords c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t one = uint64_t(0xD2511F53) * c[0], other = uint64_t(0xCD9E8D57) * c[2];
    c = {uint32_t(other >> 32) ^ c[1] ^ key[0], uint32_t(other), uint32_t(one >> 32) ^ c[3] ^ key[1], uint32_t(one)};
    key = {key[0] + 0x9E3779B9, key[1] + 0xBB67AE85};
  }
  return c;
}

// The counter consists of the id (64 bits), the step (48), the purpose (8) and the block (8).
inline FourWords philox_words(int64_t seed, int64_t step, int64_t purpose, int64_t block, int64_t id) {
  const uint64_t s = seed, i = id, t = uint64_t(step) | uint64_t(purpose) << 48 | uint64_t(block) << 56;
  return philox({uint32_t(i), uint32_t(i >> 32), uint32_t(t), uint32_t(t >> 32)}, {uint32_t(s), uint32_t(s >> 32)});
}

inline std::array<double, 4> four_normals(int64_t seed, int64_t step, int64_t purpose, int64_t block, int64_t id) {
  constexpr double UNIT = 1.0 / 4294967296.0, TURN = 6.283185307179586 * UNIT;
  const FourWords words = philox_words(seed, step, purpose, block, id);
  std::array<double, 4> normals;
  for (int k : {0, 2}) {
    // The logarithm's argument is above 0 and at most 1.
    const double radius = std::sqrt(-2 * std::log((double(words[k]) + 1) * UNIT)), angle = TURN * words[k + 1];
    normals[k] = radius * std::cos(angle);
    normals[k + 1] = radius * std::sin(angle);
  }
  return normals;
}

}  // namespace spinpot
