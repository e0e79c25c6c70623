/* fix spinpot: the columns of its per-atom data, and the purposes of its random numbers. */

#pragma once

#include "../../kernels/interface.h"

namespace spinpot {

/* Columns: the history of first steps, and that of second half steps, before which atoms have moved; then, during a
   step, S before it and the current S' (μ_B). */
constexpr int HISTORY = SPINPOT_HISTORY, BETWEEN_STEPS = 2 * HISTORY, BEFORE = BETWEEN_STEPS, AFTER = BEFORE + 3, COLUMNS = AFTER + 3;

enum Purpose { SPINS = 0, ATOMS = 1, SECOND_HALVES = 2, TEMPERATURE = 3 };

}  // namespace spinpot
