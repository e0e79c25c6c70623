/* Loads spinpot's kernel library for this processor from the folder of the plugin. */

#pragma once

#include <string>

#include "../../kernels/interface.h"

namespace spinpot {

/* The functions of the library that the LAMMPS styles use. To use another one, add its name. */
#define SPINPOT_FUNCTIONS(USE) \
  USE(error)                   \
  USE(model_read)              \
  USE(model_free)              \
  USE(model_facts_of)          \
  USE(model_evaluate)          \
  USE(model_rows)              \
  USE(model_uncertainty)       \
  USE(normals)                 \
  USE(expected_fields)         \
  USE(evaluated_fields)        \
  USE(turn_spins)              \
  USE(spins_found)

struct Kernels {
#define SPINPOT_MEMBER(name) decltype(&spinpot_##name) name;
  SPINPOT_FUNCTIONS(SPINPOT_MEMBER)
#undef SPINPOT_MEMBER

  /* Throws std::runtime_error with the library's message for a code other than 0. */
  void checked(int code) const;
};

/* The library, loaded in the first call. Throws std::runtime_error with the reason of a failure. */
const Kernels& kernels();

}  // namespace spinpot
