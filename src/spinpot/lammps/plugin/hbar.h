/* ħ in LAMMPS' units: eV ps in metal units. */

#pragma once

#include "force.h"

namespace spinpot {

constexpr double TWO_PI = 6.283185307179586476925;

inline double hbar(const LAMMPS_NS::Force* force) { return force->hplanck / TWO_PI; }

}  // namespace spinpot
