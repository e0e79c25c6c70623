#include "deviation.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace spinpot {
namespace {

/* Largest, smallest and mean value over all ranks. */
struct Extremes {
  double largest = 0.0, smallest = std::numeric_limits<double>::infinity(), sum = 0.0, count = 0.0;

  void add(double value) {
    if (std::isnan(value)) value = std::numeric_limits<double>::infinity();
    largest = std::max(largest, value);
    smallest = std::min(smallest, value);
    sum += value;
    count += 1.0;
  }

  void of_all_ranks(MPI_Comm world, double* out) const {
    const double own[2] = {largest, -smallest}, sums[2] = {sum, count};
    double most[2], total[2];
    MPI_Allreduce(own, most, 2, MPI_DOUBLE, MPI_MAX, world);
    MPI_Allreduce(sums, total, 2, MPI_DOUBLE, MPI_SUM, world);
    const bool any = total[1] > 0.0;
    out[0] = most[0];
    out[1] = any ? -most[1] : 0.0;
    out[2] = any ? total[0] / total[1] : 0.0;
  }
};

/* √⟨|F − ⟨F⟩|²⟩ of three components of an atom, starting with `first`. */
double deviation(const std::vector<Predicted>& models, size_t atom, int first) {
  double total = 0.0;
  for (int c = first; c < first + 3; ++c) {
    double mean = 0.0;
    for (const Predicted& model : models) mean += model.forces[atom][c] / models.size();
    for (const Predicted& model : models) total += std::pow(model.forces[atom][c] - mean, 2);
  }
  return std::sqrt(total / models.size());
}

/* Largest, smallest and rms deviation of the nine components of the virial per atom. */
void deviation_of_virials(const std::vector<Predicted>& models, double atoms, MPI_Comm world, double* out) {
  std::vector<double> own, all;
  for (const Predicted& model : models) own.insert(own.end(), model.virial.begin(), model.virial.end());
  all.resize(own.size());
  MPI_Allreduce(own.data(), all.data(), static_cast<int>(own.size()), MPI_DOUBLE, MPI_SUM, world);
  double square = 0.0;
  out[0] = 0.0;
  out[1] = std::numeric_limits<double>::infinity();
  for (int c = 0; c < 9; ++c) {
    double mean = 0.0, variance = 0.0;
    for (size_t m = 0; m < models.size(); ++m) mean += all[9 * m + c] / models.size();
    for (size_t m = 0; m < models.size(); ++m) variance += std::pow(all[9 * m + c] - mean, 2) / models.size();
    const double value = std::sqrt(variance) / atoms;
    out[0] = std::max(out[0], value);
    out[1] = std::min(out[1], value);
    square += value * value / 9;
  }
  out[2] = std::sqrt(square);
}

}  // namespace

std::array<double, 9> deviations(const std::vector<Predicted>& models, const std::vector<char>& magnetic,
                                 MPI_Comm world) {
  Extremes force, force_mag;
  for (size_t atom = 0; atom < magnetic.size(); ++atom) {
    force.add(deviation(models, atom, 0));
    if (magnetic[atom]) force_mag.add(deviation(models, atom, 3));
  }
  std::array<double, 9> row;
  double own = static_cast<double>(magnetic.size()), atoms = 0.0;
  MPI_Allreduce(&own, &atoms, 1, MPI_DOUBLE, MPI_SUM, world);
  deviation_of_virials(models, std::max(atoms, 1.0), world, row.data());
  force.of_all_ranks(world, row.data() + 3);
  force_mag.of_all_ranks(world, row.data() + 6);
  return row;
}

void DeviationFile::write(const std::string& path, int64_t step, const std::array<double, 9>& row) {
  if (!file_) {
    file_.reset(std::fopen(path.c_str(), "w"));
    if (!file_) throw std::runtime_error(path + " cannot be written: " + std::strerror(errno));
    std::fprintf(file_.get(), "#%11s", "step");
    for (const char* name : {"v", "f", "fm"})
      for (const char* kind : {"max", "min", "avg"})
        std::fprintf(file_.get(), "%19s", (std::string(kind) + "_devi_" + name).c_str());
    std::fprintf(file_.get(), "\n");
  }
  std::fprintf(file_.get(), "%12lld", static_cast<long long>(step));
  for (const double value : row) std::fprintf(file_.get(), "%19.6e", value);
  std::fprintf(file_.get(), "\n");
  if (std::fflush(file_.get())) throw std::runtime_error(path + " cannot be written: " + std::strerror(errno));
}

}  // namespace spinpot
