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
#include "neighbor.h"
#include "update.h"

using namespace LAMMPS_NS;

namespace {

constexpr double MARGIN = 1.0 + 1e-6; /* directions have length 1 only up to rounding */

bool is_keyword(const char* word) {
  return !strcmp(word, "out_freq") || !strcmp(word, "out_file") || !strcmp(word, "stop_at");
}

}  // namespace

double PairMLSpinpot::moment(const double* sp) {
  const double square = sp[0] * sp[0] + sp[1] * sp[1] + sp[2] * sp[2];
  return sp[3] == 0.0 ? 0.0 : std::fabs(sp[3]) * std::sqrt(square);
}

PairMLSpinpot::PairMLSpinpot(LAMMPS* lammps) : Pair(lammps) {
  single_enable = restartinfo = 0;
  one_coeff = manybody_flag = no_virial_fdotr_compute = 1;
  centroidstressflag = CENTROID_NOTAVAIL;
  comm_reverse = 6;
}

PairMLSpinpot::~PairMLSpinpot() { free_types(); }

void PairMLSpinpot::free_types() {
  if (!allocated) return;
  memory->destroy(setflag);
  memory->destroy(cutsq);
  allocated = 0;
}

void PairMLSpinpot::settings(int count, char** words) {
  files_.clear();
  models_.clear();
  deviation_ = {};
  evaluated_at_ = -1;
  file_ = {};
  told_ = -1;
  free_types();
  int next = 0;
  while (next < count && !is_keyword(words[next])) files_.emplace_back(words[next++]);
  while (next < count) next = keyword(next, count, words);
}

int PairMLSpinpot::keyword(int next, int count, char** words) {
  const std::string name = words[next];
  if (files_.size() < 2) error->all(FLERR, "pair_style ml/spinpot: " + name + " needs several models");
  if (!is_keyword(words[next]))
    error->all(FLERR, "pair_style ml/spinpot: expected out_freq, out_file or stop_at after the files, not " + name);
  if (next + 1 == count) error->all(FLERR, "pair_style ml/spinpot: " + name + " has no value");
  const char* value = words[next + 1];
  if (name == "out_file") {
    deviation_.file = value;
    return next + 2;
  }
  if (name == "out_freq") {
    deviation_.every = utils::bnumeric(FLERR, value, true, lmp);
    if (deviation_.every < 1) error->all(FLERR, "pair_style ml/spinpot: out_freq must be at least 1");
    return next + 2;
  }
  deviation_.stop_force = utils::numeric(FLERR, value, true, lmp);
  if (deviation_.stop_force < 0.0) error->all(FLERR, "pair_style ml/spinpot: stop_at must not be negative");
  if (next + 2 == count || !utils::is_double(words[next + 2])) return next + 2;
  deviation_.stop_force_mag = utils::numeric(FLERR, words[next + 2], true, lmp);
  return next + 3;
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
  for (const auto& model : models_) element_of_.push_back(elements(*model, words + first));
  if (models_.size() > 1) check_same_spins();
  for (int i = 1; i <= types; ++i)
    for (int j = i; j <= types; ++j) setflag[i][j] = element_of_[0][i] >= 0 && element_of_[0][j] >= 0;
}

std::vector<int> PairMLSpinpot::elements(const spinpot::Model& model, char** names) const {
  std::vector<int> found(atom->ntypes + 1, -1);
  for (int type = 1; type <= atom->ntypes; ++type) {
    const std::string name = names[type - 1];
    if (name == "NULL") continue;
    found[type] = model.element(name);
    if (found[type] < 0)
      error->all(FLERR, "pair_coeff of ml/spinpot: the model does not know the element " + name + "; it knows " +
                            model.elements());
  }
  return found;
}

void PairMLSpinpot::check_same_spins() const {
  for (size_t m = 1; m < models_.size(); ++m)
    for (int type = 1; type <= atom->ntypes; ++type)
      if (is_magnetic(m, type) != is_magnetic(0, type))
        error->all(FLERR, "pair_style ml/spinpot: " + files_[m] + " and " + files_[0] +
                              " have spins of different elements");
}

bool PairMLSpinpot::is_magnetic(size_t model, int type) const {
  const int element = element_of_[model][type];
  return element >= 0 && models_[model]->facts().magnetic[element];
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
  give_directions();
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

/* LAMMPS turns a direction of 0 0 0 into NaN when it reads it, and writes NaN. */
void PairMLSpinpot::give_directions() {
  int own = 0, all = 0;
  for (int i = 0; i < atom->nlocal; ++i) {
    double* sp = atom->sp[i];
    if (sp[3] != 0.0 || std::isfinite(sp[0] + sp[1] + sp[2])) continue;
    sp[0] = sp[1] = 0.0, sp[2] = 1.0;
    ++own;
  }
  MPI_Allreduce(&own, &all, 1, MPI_INT, MPI_SUM, world);
  if (all && comm->me == 0)
    error->warning(FLERR, "pair_style ml/spinpot: {} atoms without a moment had no direction; they now have 0 0 1", all);
}

void PairMLSpinpot::look_at_moments() {
  const int n = atom->ntypes + 1;
  std::vector<double> own(n, 0.0), less(n, HUGE_VAL), shortest(n);
  for (int i = 0; i < atom->nlocal; ++i) {
    const double length = moment(atom->sp[i]);
    own[atom->type[i]] = std::max(own[atom->type[i]], length);
    less[atom->type[i]] = std::min(less[atom->type[i]], length);
  }
  longest_.assign(n, 0.0);
  MPI_Allreduce(own.data(), longest_.data(), n, MPI_DOUBLE, MPI_MAX, world);
  MPI_Allreduce(less.data(), shortest.data(), n, MPI_DOUBLE, MPI_MIN, world);
  warn_of_moments(shortest);
  for (double& length : longest_) length *= MARGIN;
}

/* Warns of moments outside the range of training, like spinpot.looks.model. */
void PairMLSpinpot::warn_of_moments(const std::vector<double>& shortest) {
  const spinpot_model_facts& facts = models_[0]->facts();
  for (int type = 1; type <= atom->ntypes && !warned_of_moments_; ++type) {
    const int element = element_of_[0][type];
    if (element < 0 || !is_magnetic(0, type) || shortest[type] == HUGE_VAL) continue;
    const double least = facts.least_moment[element], greatest = facts.greatest_moment[element];
    const double margin = std::max(0.01 * greatest, 1e-3);
    if (!(shortest[type] < least - margin || longest_[type] > greatest + margin)) continue;
    warned_of_moments_ = true;
    if (comm->me == 0)
      error->warning(FLERR,
                     "pair_style ml/spinpot: moments of {} leave the range of training, {:.3f} to {:.3f} μ_B: {:.3f} to "
                     "{:.3f} μ_B. The model extrapolates there",
                     facts.elements[element], least, greatest, shortest[type], longest_[type]);
  }
}

void PairMLSpinpot::check_magnetic() {
  for (int type = 1; type <= atom->ntypes && !warned_; ++type) {
    const int element = element_of_[0][type];
    if (element < 0 || is_magnetic(0, type) || longest_[type] == 0.0) continue;
    warned_ = true;
    if (comm->me == 0)
      error->warning(FLERR, std::string("pair_style ml/spinpot: the model has no spin on ") +
                                models_[0]->facts().elements[element] + ": the spins of type " +
                                std::to_string(type) + " are ignored. Is the order of the elements right?");
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

std::string PairMLSpinpot::moment_too_long(int i) const {
  const double length = moment(atom->sp[i]);
  const std::string atom_name = "pair_style ml/spinpot: atom " + std::to_string(atom->tag[i]);
  if (!std::isfinite(length)) return atom_name + " has a spin that is not finite";
  return atom_name + " has a moment of " + std::to_string(length) + " μ_B, but the longest of its type when the run "
         "began was " + std::to_string(longest_[atom->type[i]] / MARGIN) + ": neighbours may be missing. Start a new run";
}

void* PairMLSpinpot::extract(const char* name, int& dimension) {
  dimension = 0;
  if (!strcmp(name, "evaluations") && !models_.empty()) return &models_[0]->evaluations;
  if (!strcmp(name, "uncertainty_flag")) return &uncertainty_wanted_;
  return nullptr;
}

void* PairMLSpinpot::extract_peratom(const char* name, int& columns) {
  if (strcmp(name, "uncertainty") != 0) return nullptr;
  columns = 3;
  if (!models_.empty() && models_[0]->facts().row_size == 0)
    error->all(FLERR,
               "pair_style ml/spinpot: this model does not know its errors. Use a native_spin model that was fitted by "
               "least squares, or give several models");
  uncertainty_.assign(std::max(1, atom->nlocal), {NAN, NAN, NAN});
  if (uncertainty_wanted_ && evaluated_at_ == update->ntimestep) find_uncertainty();
  rows_of_uncertainty_.clear();
  for (auto& row : uncertainty_) rows_of_uncertainty_.push_back(row.data());
  return rows_of_uncertainty_.data();
}

double PairMLSpinpot::memory_usage() {
  return Pair::memory_usage() + 2.0 * cluster_.atoms() * (8 + 24 + 24) + 4.0 * neighbours_.capacity();
}
