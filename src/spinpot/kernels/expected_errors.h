// Expected errors of a model fitted by least squares, with the formulas of spinpot.models.native_spin.uncertainty.

#pragma once

#include <vector>

#include "interface.h"
#include "model_part.h"

namespace spinpot {

class ExpectedErrors {
 public:
  // part: the part of a model file with the arrays for expected errors. size: length of a row. scale: factor of the rows,
  // eV.
  ExpectedErrors(const FilePart& part, int64_t size, double scale);

  int64_t size() const { return size_; }
  void evaluate(const spinpot_complete_rows& rows, const spinpot_uncertainty& out) const;

 private:
  enum Quantity { ENERGY, FORCE, FORCE_MAG, QUANTITIES };

  double of_energy(const spinpot_complete_rows& rows) const;
  // Fills the leverages of `count` atoms, each divided by the usual one.
  void of_atoms(const double* rows, int64_t count, Quantity quantity, double* leverage) const;
  double sigma(Quantity quantity, double leverage) const;

  int64_t types_, size_, columns_;
  double scale_;
  std::vector<uint8_t> magnetic_;
  std::vector<double> whitening_, usual_, noise_;
};

}  // namespace spinpot
