#include "kernels.h"

#include <dlfcn.h>

#include <stdexcept>

namespace spinpot {
namespace {

/* The name of the library for the widest vectors of this processor. */
const char* library_name() {
#ifdef SPINPOT_KERNELS_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return SPINPOT_KERNELS_AVX512;
#endif
#ifdef SPINPOT_KERNELS_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SPINPOT_KERNELS_AVX2;
#endif
#ifdef SPINPOT_KERNELS_PLAIN
  return SPINPOT_KERNELS_PLAIN;
#else
  throw std::runtime_error("The spinpot plugin was built without kernels for this processor.");
#endif
}

std::string own_folder() {
  Dl_info found;
  if (!dladdr(reinterpret_cast<void*>(&own_folder), &found)) throw std::runtime_error("dladdr failed");
  const std::string file = found.dli_fname;
  return file.substr(0, file.rfind('/') + 1);
}

void* function(void* library, const std::string& file, const char* name) {
  void* found = dlsym(library, name);
  if (!found) throw std::runtime_error(file + " lacks " + name + ": rebuild it with spinpot lammps build");
  return found;
}

Kernels loaded() {
  const std::string file = own_folder() + library_name();
  /* NODELETE, because its threads may outlive the plugin. */
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (!library) {
    const char* reason = dlerror();
    throw std::runtime_error("The spinpot plugin needs its kernel library beside it: " +
                             std::string(reason ? reason : file));
  }
  Kernels found;
#define SPINPOT_FIND(name) \
  found.name = reinterpret_cast<decltype(found.name)>(function(library, file, "spinpot_" #name));
  SPINPOT_FUNCTIONS(SPINPOT_FIND)
#undef SPINPOT_FIND
  return found;
}

}  // namespace

void Kernels::checked(int code) const {
  if (code) throw std::runtime_error(error());
}

const Kernels& kernels() {
  static const Kernels found = loaded();
  return found;
}

}  // namespace spinpot
