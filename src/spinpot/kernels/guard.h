// Converts C++ exceptions to the return codes and texts of the C interface.

#pragma once

#include <exception>

#include "parallel.h"

namespace spinpot {

// Stores the text for spinpot_error; returns the code.
int failed(const char* text) noexcept;

// Calls body() with this number of threads; returns 0, or the code of an exception.
template <typename Body>
int guarded(int64_t threads, const Body& body) noexcept {
  try {
    const ThreadsOfCall own(threads);
    body();
    return 0;
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("unknown error");
  }
}

// Throws an exception that says what was expected.
[[noreturn]] void refuse(const char* expected);

inline void require(bool fits, const char* expected) {
  if (!fits) refuse(expected);
}

}  // namespace spinpot
