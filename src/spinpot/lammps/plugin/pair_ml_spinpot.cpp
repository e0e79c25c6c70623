#include "pair_ml_spinpot.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

constexpr double TWO_PI = 6.283185307179586476925;
constexpr double MARGIN = 1.0 + 1e-6; /* of moments: directions have the length 1 to rounding alone */

double norm(const double* v) { return std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]); }

double moment(const double* sp) { return sp[3] == 0.0 ? 0.0 : std::fabs(sp[3]) * norm(sp); }

}  // namespace

PairMLSpinpot::PairMLSpinpot(LAMMPS* lammps) : Pair(lammps) {
  single_enable = restartinfo = 0;
  one_coeff = manybody_flag = no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_NOTAVAIL;
  unit_convert_flag = 0;
}

PairMLSpinpot::~PairMLSpinpot() {
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
}

void PairMLSpinpot::settings(int count, char** words) {
  files_.assign(words, words + count);
}

void PairMLSpinpot::coeff(int count, char** words) {
  if (!allocated) allocate();
  int first = 2;
  if (files_.empty()) {
    if (count < 3) error->all(FLERR, "pair_coeff of ml/spinpot: expected * * FILE ELEMENT …");
    read_models({words[first++]});
  } else {
    read_models(files_);
  }
  const int types = atom->ntypes;
  if (count - first != types)
    error->all(FLERR, "pair_coeff of ml/spinpot names " + std::to_string(count - first) + " elements, but there are " +
                          std::to_string(types) + " atom types: give one for each, or NULL");
  element_of_.clear();
  for (const auto& model : models_) {
    std::vector<int> elements(types + 1, -1);
    for (int type = 1; type <= types; ++type) {
      const std::string name = words[first + type - 1];
      if (name == "NULL") continue;
      elements[type] = model->element(name);
      if (elements[type] < 0)
        error->all(FLERR, "pair_coeff of ml/spinpot: the model does not know the element " + name +
                              "; it knows " + model->elements());
    }
    element_of_.push_back(elements);
  }
  for (int i = 1; i <= types; ++i)
    for (int j = i; j <= types; ++j) setflag[i][j] = element_of_[0][i] >= 0 && element_of_[0][j] >= 0;
}

void PairMLSpinpot::read_models(const std::vector<std::string>& files) {
  models_.clear();
  for (const std::string& file : files) {
    std::string failure;
    try {
      models_.push_back(std::make_unique<spinpot::Model>(file));
    } catch (const std::exception& failed) {
      failure = failed.what();
    }
    const int own = !failure.empty();
    int any = 0;
    MPI_Allreduce(&own, &any, 1, MPI_INT, MPI_MAX, world);
    if (any) error->all(FLERR, "pair_style ml/spinpot: " + (own ? failure : file + " cannot be read by every rank"));
  }
}

void PairMLSpinpot::allocate() {
  allocated = 1;
  const int n = atom->ntypes + 1;
  memory->create(setflag, n, n, "pair:setflag");
  memory->create(cutsq, n, n, "pair:cutsq");
  for (int i = 0; i < n; ++i) std::fill(setflag[i], setflag[i] + n, 0);
}

void PairMLSpinpot::init_style() {
  check_setting();
  look_at_moments();
  check_magnetic();
  for (auto& model : models_) model->forget();
  neighbor->add_request(this, NeighConst::REQ_FULL);
}

void PairMLSpinpot::check_setting() const {
  const auto suffix = [this](const char* name) {
    return lmp->suffix_enable && ((lmp->suffix && !strcmp(lmp->suffix, name)) ||
                                  (lmp->suffix2 && !strcmp(lmp->suffix2, name)));
  };
  if (strcmp(update->unit_style, "metal") != 0) error->all(FLERR, "pair_style ml/spinpot needs units metal");
  if (!atom->sp_flag) error->all(FLERR, "pair_style ml/spinpot needs spins: atom_style spin");
  if (!force->newton_pair) error->all(FLERR, "pair_style ml/spinpot needs newton on");
  if (lmp->kokkos || suffix("kk")) error->all(FLERR, "pair_style ml/spinpot does not run with KOKKOS");
  if (suffix("gpu")) error->all(FLERR, "pair_style ml/spinpot does not run with the GPU package");
}

void PairMLSpinpot::look_at_moments() {
  const int n = atom->ntypes + 1;
  std::vector<double> own(n, 0.0);
  for (int i = 0; i < atom->nlocal; ++i) own[atom->type[i]] = std::max(own[atom->type[i]], moment(atom->sp[i]));
  longest_.assign(n, 0.0);
  MPI_Allreduce(own.data(), longest_.data(), n, MPI_DOUBLE, MPI_MAX, world);
  for (double& length : longest_) length *= MARGIN;
}

void PairMLSpinpot::check_magnetic() {
  for (int type = 1; type <= atom->ntypes && !warned_; ++type) {
    const int element = element_of_[0][type];
    if (element < 0 || models_[0]->facts().magnetic[element] || longest_[type] == 0.0) continue;
    warned_ = true;
    if (comm->me == 0)
      error->warning(FLERR, std::string("pair_style ml/spinpot: the model has no spin on ") +
                                models_[0]->facts().elements[element] + ": the spins of type " +
                                std::to_string(type) + " are ignored");
  }
}

double PairMLSpinpot::init_one(int i, int j) {
  double cutoff = 0.0;
  for (size_t m = 0; m < models_.size(); ++m) {
    const auto reach = [&](int type) {
      const int element = element_of_[m][type];
      return element < 0 ? 0.0 : models_[m]->reach(element, longest_[type]);
    };
    cutoff = std::max(cutoff, models_[m]->facts().cutoff + std::max(reach(i), reach(j)));
  }
  return cutoff;
}

void PairMLSpinpot::gather() {
  cluster_.types.clear();
  cluster_.coord.clear();
  cluster_.spin.clear();
  atom_of_.clear();
  const int all = atom->nlocal + atom->nghost;
  place_of_.assign(all, -1);
  for (int k = 0; k < list->inum; ++k) gather_atom(list->ilist[k]);
  cluster_.centres = list->inum;
  for (int i = 0; i < all; ++i)
    if (place_of_[i] < 0 && element_of_[0][atom->type[i]] >= 0) gather_atom(i);

  bool direct = true; /* the list's own numbers are those of the cluster */
  for (size_t k = 0; k < atom_of_.size() && direct; ++k) direct = atom_of_[k] == static_cast<int>(k);
  cluster_.mask = direct ? NEIGHMASK : ~0;
  cluster_.candidates.resize(list->inum);
  cluster_.n_candidates.resize(list->inum);
  int64_t total = 0;
  for (int k = 0; k < list->inum; ++k) total += cluster_.n_candidates[k] = list->numneigh[list->ilist[k]];
  if (!direct) neighbours_.resize(total);
  int32_t* next = neighbours_.data();
  for (int k = 0; k < list->inum; ++k) {
    const int* listed = list->firstneigh[list->ilist[k]];
    cluster_.candidates[k] = direct ? listed : next;
    if (direct) continue;
    int32_t kept = 0;
    for (int n = 0; n < cluster_.n_candidates[k]; ++n)
      if (const int place = place_of_[listed[n] & NEIGHMASK]; place >= 0) next[kept++] = place;
    cluster_.n_candidates[k] = kept;
    next += kept;
  }
}

void PairMLSpinpot::gather_atom(int i) {
  const double *x = atom->x[i], *sp = atom->sp[i];
  const int type = atom->type[i], element = element_of_[0][type];
  const double length = moment(sp);
  const bool magnetic = models_[0]->facts().magnetic[element] && length != 0.0;
  if (magnetic && !(length <= longest_[type])) error->one(FLERR, moment_too_long(i));
  place_of_[i] = static_cast<int>(atom_of_.size());
  atom_of_.push_back(i);
  cluster_.types.push_back(element);
  cluster_.coord.insert(cluster_.coord.end(), x, x + 3);
  for (int k = 0; k < 3; ++k) cluster_.spin.push_back(magnetic ? sp[3] * sp[k] : 0.0);
}

std::string PairMLSpinpot::moment_too_long(int i) const {
  const double length = moment(atom->sp[i]);
  const std::string atom_name = "pair_style ml/spinpot: atom " + std::to_string(atom->tag[i]);
  if (!std::isfinite(length)) return atom_name + " has a spin that is no number";
  return atom_name + " has a moment of " + std::to_string(length) + " μ_B, but the longest of its type when the run "
         "began was " + std::to_string(longest_[atom->type[i]] / MARGIN) + ": neighbours may be missing. Start a new run";
}

void PairMLSpinpot::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  gather();
  try {
    models_[0]->evaluate(cluster_, vflag_atom, comm->nthreads);
  } catch (const std::exception& failed) {
    error->one(FLERR, std::string("pair_style ml/spinpot: ") + failed.what());
  }
  add(*models_[0]);
}

void PairMLSpinpot::add(const spinpot::Model& model) {
  const double per_hbar = TWO_PI / force->hplanck;
  for (int64_t k = 0; k < cluster_.atoms(); ++k) {
    const int i = atom_of_[k];
    for (int c = 0; c < 3; ++c) {
      atom->f[i][c] += model.force[3 * k + c];
      atom->fm[i][c] += model.force_mag[3 * k + c] * atom->sp[i][3] * per_hbar;
    }
  }
  for (int64_t k = 0; k < cluster_.centres; ++k) {
    if (eflag_global) eng_vdwl += model.energy[k];
    if (eflag_atom) eatom[atom_of_[k]] += model.energy[k];
  }
  if (vflag_global) {
    const double* w = model.virial;
    const double parts[6] = {w[0], w[4], w[8], 0.5 * (w[1] + w[3]), 0.5 * (w[2] + w[6]), 0.5 * (w[5] + w[7])};
    for (int c = 0; c < 6; ++c) virial[c] += parts[c];
  }
  if (vflag_atom) add_atom_virial(model);
}

void PairMLSpinpot::add_atom_virial(const spinpot::Model& model) {
  for (int64_t k = 0; k < cluster_.centres; ++k) {
    const double* w = &model.atom_virial[9 * k];
    const double parts[6] = {w[0], w[4], w[8], 0.5 * (w[1] + w[3]), 0.5 * (w[2] + w[6]), 0.5 * (w[5] + w[7])};
    for (int c = 0; c < 6; ++c) vatom[atom_of_[k]][c] += parts[c];
  }
}

void* PairMLSpinpot::extract(const char* name, int& dimension) {
  dimension = 0;
  if (!strcmp(name, "evaluations") && !models_.empty()) return &models_[0]->evaluations;
  return nullptr;
}

double PairMLSpinpot::memory_usage() {
  return Pair::memory_usage() + 2.0 * cluster_.atoms() * (8 + 24 + 24) + 4.0 * neighbours_.capacity();
}
