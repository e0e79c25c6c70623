#include "expected_errors.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "blocks.h"
#include "products.h"

namespace spinpot {

namespace {

constexpr int64_t BLOCK = 32;  // atoms whose rows are multiplied together

double sum_of_squares(const double* numbers, int64_t count) {
  double sum = 0.0;
  for (int64_t n = 0; n < count; ++n) sum += numbers[n] * numbers[n];
  return sum;
}

}  // namespace

ExpectedErrors::ExpectedErrors(const FilePart& part, int64_t size, double scale)
    : types_(part.types()),
      size_(size),
      columns_(size + types_),
      scale_(scale),
      magnetic_(part.magnetic()),
      whitening_(part.array<double>("whitening", {columns_, columns_})),
      usual_(part.array<double>("usual", {QUANTITIES})),
      noise_(part.array<double>("noise", {QUANTITIES})) {
  part.require(*std::min_element(usual_.begin(), usual_.end()) > 0.0, "its usual leverages are not positive");
}

double ExpectedErrors::sigma(Quantity quantity, double leverage) const {
  const double noise = noise_[quantity];
  return noise < 0.0 ? std::numeric_limits<double>::quiet_NaN() : noise * std::sqrt(1.0 + leverage);
}

double ExpectedErrors::of_energy(const spinpot_complete_rows& rows) const {
  std::vector<double> row(rows.energy, rows.energy + size_), changes(columns_);
  for (double& number : row) number *= scale_;
  row.insert(row.end(), rows.counts, rows.counts + types_);
  const int64_t atoms = std::accumulate(rows.counts, rows.counts + types_, int64_t(0));
  for (int64_t n = 0; n < columns_; ++n)
    for (int64_t c = 0; c < columns_; ++c) changes[c] += row[n] * whitening_[n * columns_ + c];
  return sum_of_squares(changes.data(), columns_) / (double(atoms * atoms) * usual_[ENERGY]);
}

void ExpectedErrors::of_atoms(const double* rows, int64_t count, Quantity quantity, double* leverage) const {
  const double per_usual = scale_ * scale_ / (3.0 * usual_[quantity]);
  parallel(count, BLOCK, [&](int64_t begin, int64_t end) {
    const Borrowed memory = borrow();
    double* changes = memory->numbers<double>(3 * BLOCK * columns_);
    for (int64_t first = begin; first < end; first += BLOCK) {
      const int64_t some = std::min(BLOCK, end - first);
      multiply<double>(matrix(rows + 3 * size_ * first, 3 * some, size_), matrix(whitening_.data(), size_, columns_),
                       matrix(changes, 3 * some, columns_));
      for (int64_t n = 0; n < some; ++n)
        leverage[first + n] = per_usual * sum_of_squares(changes + 3 * columns_ * n, 3 * columns_);
    }
  });
}

void ExpectedErrors::evaluate(const spinpot_complete_rows& rows, const spinpot_uncertainty& out) const {
  require(rows.atoms >= 0 && within(rows.types, rows.atoms, types_), "elements of the model");
  require(within(rows.counts, types_, int64_t(1) << 40), "how many atoms of each element there are");
  if (out.energy_sigma) *out.energy_sigma = sigma(ENERGY, of_energy(rows));
  std::vector<double> of_force_mag(rows.atoms);
  of_atoms(rows.force, rows.atoms, FORCE, out.leverage);
  of_atoms(rows.force_mag, rows.atoms, FORCE_MAG, of_force_mag.data());
  for (int64_t n = 0; n < rows.atoms; ++n) {
    out.force_sigma[n] = sigma(FORCE, out.leverage[n]);
    out.force_mag_sigma[n] = magnetic_[rows.types[n]] ? sigma(FORCE_MAG, of_force_mag[n]) : 0.0;
    out.leverage[n] = std::max(out.leverage[n], of_force_mag[n]);
  }
}

}  // namespace spinpot
