// Memory for the numbers of a call. Later calls reuse it, since new pages cost more than the arithmetic on them.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "vectors.h"

namespace spinpot {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t LEAST_PIECE = 0;  // each array is allocated separately, so that sanitizers detect overruns
#else
constexpr std::size_t LEAST_PIECE = 1 << 18;
#endif

class Workspace {
 public:
  // `count` numbers, not initialised. They share no cache line with other numbers.
  template <typename T>
  T* numbers(int64_t count) {
    return reinterpret_cast<T*>(bytes(static_cast<std::size_t>(count) * sizeof(T)));
  }

  template <typename T>
  T* zeros(int64_t count) {
    T* first = numbers<T>(count);
    std::fill_n(first, count, T(0));
    return first;
  }

  // Frees all numbers. The memory is kept for later ones, in one piece.
  void rewind();

 private:
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory, std::align_val_t(LINE_BYTES)); }
  };

  struct Piece {
    explicit Piece(std::size_t bytes)
        : memory(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(LINE_BYTES)))), size(bytes) {}
    std::unique_ptr<std::byte, Free> memory;
    std::size_t size;
  };

  std::byte* bytes(std::size_t count);

  std::vector<Piece> pieces_;
  std::size_t used_ = 0;  // bytes in the last piece
};

// Gives a workspace back to the pool.
struct GiveBack {
  void operator()(Workspace* workspace) const;
};

using Borrowed = std::unique_ptr<Workspace, GiveBack>;

// An empty workspace, from the pool if it has one.
Borrowed borrow();

}  // namespace spinpot
