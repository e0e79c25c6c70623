/* For LAMMPS' atom.h where an installation lacks this header: a declaration is enough. */

#pragma once

namespace nlohmann_lmp {
class json;
}
using nlohmann_lmp::json;
