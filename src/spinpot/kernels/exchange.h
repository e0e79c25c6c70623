// The exchange term: energies with all first derivatives, as spinpot.models.exchange has them.

#pragma once

#include "blocks.h"

namespace spinpot {

// That no array is read past its end; pairs are checked where they are read.
void check_exchange(const spinpot_exchange& in);

// Adds the energies of the centres (of all atoms, or where centres come first of these), and what they alone give to
// forces: a pair of centres is seen from either end, one of a centre and another atom once.
void add_exchange(const spinpot_exchange& in, double* energy, const Forces<double>& to);

}  // namespace spinpot
