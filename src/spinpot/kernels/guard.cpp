#include "guard.h"

#include <cstdio>
#include <stdexcept>
#include <string>

#include "interface.h"

namespace spinpot {

namespace {
thread_local char last_error[2048] = "";
}

int failed(const char* text) noexcept {
  std::snprintf(last_error, sizeof last_error, "%s", text);
  return 1;
}

void refuse(const char* expected) { throw std::invalid_argument(std::string("expected ") + expected); }

}  // namespace spinpot

const char* spinpot_error(void) { return spinpot::last_error; }
