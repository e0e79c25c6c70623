/* Replaces a header that LAMMPS' atom.h includes but installations lack; a declaration is enough. */

#pragma once

namespace nlohmann_lmp {
class json;
}
using nlohmann_lmp::json;
