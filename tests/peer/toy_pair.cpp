/* A plugin with pair_style toy: a potential of atoms and spins whose forces are its exact slopes.

   E = Σ over pairs of w (D (e^(-2 k (r - r0)) - 2 e^(-k (r - r0))) + e^(-k (r - r0)) (J S·S' + K (S·S')²)) with
   w = (1 - r²/cutoff²)³. */

#include <cmath>

#include "atom.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"

using namespace LAMMPS_NS;

namespace {

class PairToy : public Pair {
 public:
  explicit PairToy(LAMMPS* lammps);
  ~PairToy() override;
  void settings(int count, char** words) override;
  void coeff(int count, char** words) override;
  void init_style() override;
  double init_one(int, int) override { return cutoff; }
  void compute(int eflag, int vflag) override;

 private:
  double cutoff = 0, depth = 0, kappa = 0, distance = 0, linear = 0, square = 0;
  void allocate();
};


}  // namespace

PairToy::PairToy(LAMMPS* lammps) : Pair(lammps) { single_enable = restartinfo = 0; }

PairToy::~PairToy() {
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairToy::settings(int count, char** words) {
  if (count != 6) error->all(FLERR, "toy: cutoff D k r0 J K");
  double* const numbers[] = {&cutoff, &depth, &kappa, &distance, &linear, &square};
  for (int k = 0; k < 6; ++k) *numbers[k] = utils::numeric(FLERR, words[k], false, lmp);
}

void PairToy::allocate() {
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
}

void PairToy::coeff(int, char**) {
  if (!allocated) allocate();
  for (int i = 1; i <= atom->ntypes; ++i)
    for (int j = 1; j <= atom->ntypes; ++j) setflag[i][j] = 1;
}

void PairToy::init_style() { neighbor->add_request(this); }

void PairToy::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  const double hbar = force->hplanck / (2 * M_PI);
  double **x = atom->x, **f = atom->f, **sp = atom->sp, **fm = atom->fm;
  for (int ii = 0; ii < list->inum; ++ii) {
    const int i = list->ilist[ii];
    for (int jj = 0; jj < list->numneigh[i]; ++jj) {
      const int j = list->firstneigh[i][jj] & NEIGHMASK;
      const double d[3] = {x[i][0] - x[j][0], x[i][1] - x[j][1], x[i][2] - x[j][2]};
      const double r2 = d[0] * d[0] + d[1] * d[1] + d[2] * d[2];
      if (r2 >= cutoff * cutoff) continue;
      const double r = std::sqrt(r2), u = 1 - r2 / (cutoff * cutoff), w = u * u * u;
      const double slope_w = -6 * u * u * r / (cutoff * cutoff), e = std::exp(-kappa * (r - distance));
      const double m = sp[i][3] * sp[j][3], c = m * (sp[i][0] * sp[j][0] + sp[i][1] * sp[j][1] + sp[i][2] * sp[j][2]);
      const double spins = linear * c + square * c * c, inner = depth * (e * e - 2 * e) + e * spins;
      const double slope_inner = -kappa * (2 * depth * (e * e - e) + e * spins);
      const double push = -(slope_w * inner + w * slope_inner) / r, turn = -w * e * (linear + 2 * square * c) * m / hbar;
      for (int k = 0; k < 3; ++k) {
        f[i][k] += push * d[k];
        f[j][k] -= push * d[k];
        fm[i][k] += turn * sp[j][k];
        fm[j][k] += turn * sp[i][k];
      }
      if (evflag) ev_tally(i, j, atom->nlocal, 1, w * inner, 0, push, d[0], d[1], d[2]);
    }
  }
  if (vflag_fdotr) virial_fdotr_compute();
}

/* lammpsplugin_t. */
struct Registration {
  const char *version, *style, *name, *info, *author;
  void* (*creator)(void*);
  void* handle;
};

extern "C" __attribute__((visibility("default"))) void lammpsplugin_init(void* lammps, void* handle, void* registering) {
  auto* lmp = static_cast<LAMMPS*>(lammps);
  Registration toy{lmp->version, "pair", "toy", "pair style toy", "tests", [](void* place) -> void* {
                     return static_cast<Pair*>(new PairToy(static_cast<LAMMPS*>(place)));
                   }, handle};
  reinterpret_cast<void (*)(Registration*, void*)>(registering)(&toy, lammps);
}
