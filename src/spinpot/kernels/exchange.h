// The exchange term: energies with all first derivatives, as spinpot.models.exchange has them.

#pragma once

#include "blocks.h"

namespace spinpot {

// Checks that no array is read past its end; pairs are checked when they are read.
void check_exchange(const spinpot_exchange& in);

// Adds the energies of the centres (all atoms, or the first ones) and the derivatives of these energies. A pair of two
// centres is listed from both ends, a pair of a centre and another atom once.
void add_exchange(const spinpot_exchange& in, double* energy, const Forces<double>& to);

}  // namespace spinpot
