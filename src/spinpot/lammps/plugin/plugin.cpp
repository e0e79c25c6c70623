/* Registers the styles of the plugin, after checking that it was built for this LAMMPS.

   To add a style, include its header and add one line to `styles`. */

#include <dlfcn.h>

#include <string>

#include "compute.h"
#include "compute_spinpot_energy.h"
#include "compute_spinpot_magnetization.h"
#include "compute_spinpot_temperature.h"
#include "error.h"
#include "fix.h"
#include "fix_spinpot.h"
#include "lammps.h"
#include "pair.h"
#include "pair_ml_spinpot.h"
#include "pointers.h"

using namespace LAMMPS_NS;

namespace {

/* The struct lammpsplugin_t of lammpsplugin.h, which installations of LAMMPS lack. */
struct Registration {
  const char *version, *style, *name, *info, *author;
  union {
    void* (*v1)(void*);
    void* (*v2)(void*, int, char**);
  } creator;
  void* handle;
};
using Register = void (*)(Registration*, void*);

template <typename Style>
void* made_pair(void* lammps) {
  return static_cast<Pair*>(new Style(static_cast<LAMMPS*>(lammps)));
}

template <typename Base, typename Style>
void* made(void* lammps, int count, char** words) {
  return static_cast<Base*>(new Style(static_cast<LAMMPS*>(lammps), count, words));
}

template <typename Style>
constexpr Registration pair(const char* name, const char* info) {
  Registration style{nullptr, "pair", name, info, "spinpot", {nullptr}, nullptr};
  style.creator.v1 = made_pair<Style>;
  return style;
}

template <typename Base, typename Style>
constexpr Registration other(const char* kind, const char* name, const char* info) {
  Registration style{nullptr, kind, name, info, "spinpot", {nullptr}, nullptr};
  style.creator.v2 = made<Base, Style>;
  return style;
}

template <typename Style>
constexpr Registration fix(const char* name, const char* info) {
  return other<Fix, Style>("fix", name, info);
}

template <typename Style>
constexpr Registration compute(const char* name, const char* info) {
  return other<Compute, Style>("compute", name, info);
}

Registration styles[] = {
    pair<PairMLSpinpot>("ml/spinpot", "pair style ml/spinpot: potentials of spinpot"),
    fix<FixSpinpot>("spinpot", "fix style spinpot: dynamics of spins and atoms"),
    compute<ComputeSpinpotMagnetization>("spinpot/magnetization", "compute style spinpot/magnetization: sums of spins"),
    compute<ComputeSpinpotEnergy>("spinpot/energy", "compute style spinpot/energy: parts of the energy"),
    compute<ComputeSpinpotTemperature>("spinpot/temperature", "compute style spinpot/temperature: of spins"),
};

struct Access : Pointers {
  explicit Access(LAMMPS* lammps) : Pointers(lammps) {}
  using Pointers::error;
};

int size_of(LAMMPS* lammps, const char* what, int expected) {
  using Setting = int (*)(void*, const char*);
  const auto setting = reinterpret_cast<Setting>(dlsym(RTLD_DEFAULT, "lammps_extract_setting"));
  return setting ? setting(lammps, what) : expected;
}

/* How this LAMMPS differs from the one the plugin was built for, or nothing. Its classes would have another layout. */
std::string differs(LAMMPS* lammps) {
  if (lammps->num_ver != SPINPOT_LAMMPS_VERSION)
    return "version " + std::to_string(lammps->num_ver) + " instead of " + std::to_string(SPINPOT_LAMMPS_VERSION);
  if (size_of(lammps, "tagint", sizeof(tagint)) != sizeof(tagint)) return "atom IDs of another size";
#ifdef OPEN_MPI
  constexpr bool open_mpi = true;
#else
  constexpr bool open_mpi = false;
#endif
  if (open_mpi != (dlsym(RTLD_DEFAULT, "ompi_mpi_comm_world") != nullptr)) return "another MPI";
  return {};
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void* lammps, void* handle,
                                                                         void* registering) {
  auto* lmp = static_cast<LAMMPS*>(lammps);
  const std::string difference = differs(lmp);
  if (!difference.empty())
    Access(lmp).error->all(FLERR,
                           "The spinpot plugin was built for another LAMMPS: this one has " + difference +
                               ". Build it for this one: spinpot lammps build --lammps DIR");
  for (Registration style : styles) {
    style.version = lmp->version;
    style.handle = handle;
    reinterpret_cast<Register>(registering)(&style, lammps);
  }
}
