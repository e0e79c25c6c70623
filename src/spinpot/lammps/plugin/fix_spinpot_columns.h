/* What fix spinpot keeps of each atom, and what its random numbers are for. */

#pragma once

#include "../../kernels/interface.h"

namespace spinpot {

/* Columns: how many fields are kept, these (eV/μ_B, newest first), S before the step and S' (μ_B) found so far. */
constexpr int FIELDS = SPINPOT_FIELDS, COUNT = 0, FIELD = 1, BEFORE = FIELD + 3 * FIELDS, AFTER = BEFORE + 3;
constexpr int COLUMNS = AFTER + 3;
constexpr int BETWEEN_STEPS = BEFORE; /* so many of them matter there */

enum Purpose { SPINS = 0, ATOMS = 1, SECOND_HALVES = 2, TEMPERATURE = 3 };

}  // namespace spinpot
