/* What fix spinpot keeps of each atom, and what its random numbers are for. */

#pragma once

#include "../../kernels/interface.h"

namespace spinpot {

/* Columns: two histories, the other one of second half steps, before which atoms have moved; then, while a step is under
   way, S before it and S' (μ_B) found so far. */
constexpr int HISTORY = SPINPOT_HISTORY, BETWEEN_STEPS = 2 * HISTORY, BEFORE = BETWEEN_STEPS, AFTER = BEFORE + 3, COLUMNS = AFTER + 3;

enum Purpose { SPINS = 0, ATOMS = 1, SECOND_HALVES = 2, TEMPERATURE = 3 };

}  // namespace spinpot
