// The exchange term of spinpot.models.exchange: energies with all first derivatives.

#pragma once

#include "blocks.h"

namespace spinpot {

// Checks sizes and indices, so that no array is read past its end. Pairs are checked when they are read.
void check_exchange(const spinpot_exchange& in);

// Adds the energies of the centres and the derivatives of these energies. The centres are all atoms, or the first ones. A
// pair of two centres is listed twice, once for each centre; a pair of a centre and another atom is listed once.
void add_exchange(const spinpot_exchange& in, double* energy, const Forces<double>& to);

}  // namespace spinpot
