// Checks of C++ programs: each is named, and a program runs the one that its argument names, or all.

#pragma once

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#define CHECK(condition)                                                                \
  do {                                                                                  \
    if (!(condition)) {                                                                 \
      std::fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                     \
    }                                                                                   \
  } while (false)

struct Check {
  const char* name;
  void (*run)();
};

#define NAMED(check) {#check, check}

inline int run_checks(int argc, char** argv, std::initializer_list<Check> checks) {
  int found = 0;
  for (const Check& check : checks)
    if (argc < 2 || !std::strcmp(argv[1], check.name)) {
      check.run();
      ++found;
    }
  return found ? 0 : 2;
}
