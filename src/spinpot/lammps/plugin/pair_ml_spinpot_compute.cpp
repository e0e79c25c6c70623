#include <algorithm>
#include <cstring>
#include <exception>

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "hbar.h"
#include "neigh_list.h"
#include "pair_ml_spinpot.h"
#include "update.h"

using namespace LAMMPS_NS;

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

  bool direct = true; /* whether the neighbour list and the cluster number the atoms alike */
  for (size_t k = 0; k < atom_of_.size() && direct; ++k) direct = atom_of_[k] == static_cast<int>(k);
  if (direct)
    take_list();
  else
    renumber_list();
}

void PairMLSpinpot::take_list() {
  cluster_.mask = NEIGHMASK;
  cluster_.candidates.assign(list->firstneigh, list->firstneigh + list->inum);
  cluster_.n_candidates.assign(list->numneigh, list->numneigh + list->inum);
}

void PairMLSpinpot::renumber_list() {
  cluster_.mask = ~0;
  cluster_.candidates.clear();
  cluster_.n_candidates.clear();
  size_t total = 0;
  for (int k = 0; k < list->inum; ++k) total += list->numneigh[list->ilist[k]];
  neighbours_.resize(total);
  int32_t* next = neighbours_.data();
  for (int k = 0; k < list->inum; ++k) {
    const int i = list->ilist[k];
    cluster_.candidates.push_back(next);
    for (int n = 0; n < list->numneigh[i]; ++n)
      if (const int place = place_of_[list->firstneigh[i][n] & NEIGHMASK]; place >= 0) *next++ = place;
    cluster_.n_candidates.push_back(static_cast<int32_t>(next - cluster_.candidates.back()));
  }
}

void PairMLSpinpot::gather_atom(int i) {
  const double *x = atom->x[i], *sp = atom->sp[i];
  const int type = atom->type[i], element = element_of_[0][type];
  const double length = moment(sp);
  const bool magnetic = is_magnetic(0, type) && length != 0.0;
  if (magnetic && !(length <= longest_[type])) error->one(FLERR, moment_too_long(i));
  place_of_[i] = static_cast<int>(atom_of_.size());
  atom_of_.push_back(i);
  cluster_.types.push_back(element);
  cluster_.coord.insert(cluster_.coord.end(), x, x + 3);
  for (int k = 0; k < 3; ++k) cluster_.spin.push_back(magnetic ? sp[3] * sp[k] : 0.0);
}

void PairMLSpinpot::compute(int eflag, int vflag) {
  ev_init(eflag, vflag);
  gather();
  evaluate(*models_[0], vflag_atom);
  add(*models_[0]);
  evaluated_at_ = update->ntimestep;
  const bool due = models_.size() > 1 && update->ntimestep % deviation_.every == 0 && update->ntimestep != told_;
  if (due) tell_deviation();
}

void PairMLSpinpot::evaluate(spinpot::Model& model, bool atom_virial) {
  try {
    model.evaluate(cluster_, atom_virial, comm->nthreads);
  } catch (const std::exception& failed) {
    error->one(FLERR, std::string("pair_style ml/spinpot: ") + failed.what());
  }
}

void PairMLSpinpot::add(const spinpot::Model& model) {
  const double per_hbar = 1 / spinpot::hbar(force);
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

void PairMLSpinpot::tell_deviation() {
  told_ = update->ntimestep;
  std::vector<spinpot::Predicted> predicted;
  for (size_t m = 0; m < models_.size(); ++m) {
    for (int64_t k = 0; k < cluster_.atoms(); ++k) cluster_.types[k] = element_of_[m][atom->type[atom_of_[k]]];
    evaluate(*models_[m], false);
    predicted.push_back(collected(*models_[m]));
  }
  for (int64_t k = 0; k < cluster_.atoms(); ++k) cluster_.types[k] = element_of_[0][atom->type[atom_of_[k]]];
  std::vector<char> magnetic(cluster_.centres);
  for (int64_t k = 0; k < cluster_.centres; ++k) magnetic[k] = is_magnetic(0, atom->type[atom_of_[k]]);
  const auto row = spinpot::deviations(predicted, magnetic, world);
  write_deviation(row);
  stop_above("forces", row[3], deviation_.stop_force, "eV/Å");
  stop_above("magnetic forces", row[6], deviation_.stop_force_mag, "eV/μ_B");
}

spinpot::Predicted PairMLSpinpot::collected(const spinpot::Model& model) {
  collected_.assign(atom->nlocal + atom->nghost, {});
  for (int64_t k = 0; k < cluster_.atoms(); ++k)
    for (int c = 0; c < 3; ++c) {
      collected_[atom_of_[k]][c] = model.force[3 * k + c];
      collected_[atom_of_[k]][3 + c] = model.force_mag[3 * k + c];
    }
  comm->reverse_comm(this);
  spinpot::Predicted found;
  for (int64_t k = 0; k < cluster_.centres; ++k) found.forces.push_back(collected_[atom_of_[k]]);
  std::copy(model.virial, model.virial + 9, found.virial.begin());
  return found;
}

int PairMLSpinpot::pack_reverse_comm(int count, int first, double* buffer) {
  if (count == 0) return 0;
  std::memcpy(buffer, collected_[first].data(), 6 * count * sizeof(double));
  return 6 * count;
}

void PairMLSpinpot::unpack_reverse_comm(int count, int* atoms, double* buffer) {
  for (int n = 0; n < count; ++n)
    for (int c = 0; c < 6; ++c) collected_[atoms[n]][c] += buffer[6 * n + c];
}

void PairMLSpinpot::write_deviation(const std::array<double, 9>& row) {
  if (comm->me) return;
  try {
    file_.write(deviation_.file, update->ntimestep, row);
  } catch (const std::exception& failed) {
    error->one(FLERR, std::string("pair_style ml/spinpot: ") + failed.what());
  }
}

void PairMLSpinpot::stop_above(const char* what, double deviation, double limit, const char* unit) const {
  if (!(deviation > limit)) return;
  error->all(FLERR, "pair_style ml/spinpot: at step " + std::to_string(update->ntimestep) + " the models' " + what +
                        " deviate by up to " + std::to_string(deviation) + " " + unit + ", more than stop_at " +
                        std::to_string(limit));
}

void PairMLSpinpot::find_uncertainty() {
  try {
    std::vector<double> force, force_mag;
    models_[0]->rows(cluster_, force, force_mag, comm->nthreads);
    add_rows_of_images(force, force_mag);
    const std::vector<double> found = models_[0]->uncertainty(cluster_, force, force_mag, comm->nthreads);
    for (int64_t k = 0; k < cluster_.centres; ++k)
      std::copy(&found[3 * k], &found[3 * k] + 3, uncertainty_[atom_of_[k]].begin());
  } catch (const std::exception& failed) {
    error->one(FLERR, std::string("pair_style ml/spinpot: ") + failed.what());
  }
}

void PairMLSpinpot::add_rows_of_images(std::vector<double>& force, std::vector<double>& force_mag) {
  const int64_t size = models_[0]->facts().row_size;
  for (int64_t row = 0; row < size; ++row) {
    collected_.assign(atom->nlocal + atom->nghost, {});
    for (int64_t k = 0; k < cluster_.atoms(); ++k)
      for (int c = 0; c < 3; ++c) {
        collected_[atom_of_[k]][c] = force[(3 * k + c) * size + row];
        collected_[atom_of_[k]][3 + c] = force_mag[(3 * k + c) * size + row];
      }
    comm->reverse_comm(this);
    for (int64_t k = 0; k < cluster_.centres; ++k)
      for (int c = 0; c < 3; ++c) {
        force[(3 * k + c) * size + row] = collected_[atom_of_[k]][c];
        force_mag[(3 * k + c) * size + row] = collected_[atom_of_[k]][3 + c];
      }
  }
}
