// A part of a model file: the exchange term, as spinpot.models.exchange.wrapper writes it.

#include <algorithm>
#include <list>

#include "exchange.h"
#include "model.h"

namespace spinpot {

namespace {

class ExchangePart final : public ModelPart {
 public:
  explicit ExchangePart(const FilePart& part)
      : types_(part.types()),
        magnetic_(part.array<int64_t>("magnetic", {types_})),
        elements_(part.array<int64_t>("elements", {types_})) {
    in_.types = types_;
    in_.magnetic = magnetic_.data(), in_.elements = elements_.data();
    in_.cutoff = part.number("cutoff", 1e-3, 1e3);
    in_.radial = part.integer("n_radial", 1, 1000);
    in_.fields = part.integer("n_field", 1, 1000);
    in_.magnetic_types = std::count(part.magnetic().begin(), part.magnetic().end(), 1);
    for (int64_t t = 0; t < types_; ++t)
      part.require((magnetic_[t] >= 0) == part.magnetic()[t], "magnetic is not that of the model");
    keep(part, "moment_squared", {in_.magnetic_types}, in_.moment_squared);
    for (const auto& term : part.texts("terms")) read_term(part, term);
    sight_ = {in_.cutoff, part.array<uint8_t>("seen", {types_, 2 * types_}), std::vector<double>(types_, 0.0)};
  }

  const Sight& sight() const override { return sight_; }

  void add(const ClusterPairs& pairs, const Sums& sums) override {
    set_batch(pairs, sums, threads_here(), in_);
    check_exchange(in_);
    add_exchange(in_, sums.energy, {sums.force, sums.force_mag, sums.virial});
  }

 private:
  void read_term(const FilePart& part, const std::string& term) {
    const int64_t magnetic = in_.magnetic_types, fields = magnetic * in_.fields;
    const std::vector<int64_t> of_pairs{magnetic * (magnetic + 1) / 2, in_.radial};
    if (term == "bilinear") return keep(part, "bilinear", of_pairs, in_.bilinear);
    if (term == "biquadratic") return keep(part, "biquadratic", of_pairs, in_.biquadratic);
    if (term == "anisotropic") return keep(part, "anisotropic", of_pairs, in_.anisotropic);
    if (term == "single_ion") return keep(part, "single_ion", {magnetic * types_, in_.radial}, in_.single_ion);
    if (term == "landau") return keep(part, "landau", {magnetic, 2}, in_.landau);
    part.require(term == "landau_field", "it has an unknown term");
    keep(part, "linear", {magnetic, fields}, in_.linear);
    keep(part, "along", {magnetic, fields * (fields + 1) / 2}, in_.along);
    keep(part, "across", {magnetic, fields * (fields + 1) / 2}, in_.across);
  }

  void keep(const FilePart& part, const char* name, const std::vector<int64_t>& shape, const double*& to) {
    arrays_.push_back(part.array<double>(name, shape));
    to = arrays_.back().data();
  }

  int64_t types_;
  std::vector<int64_t> magnetic_, elements_;
  std::list<std::vector<double>> arrays_;
  spinpot_exchange in_ = {};
  Sight sight_;
};

}  // namespace

std::unique_ptr<ModelPart> read_exchange(const FilePart& part) { return std::make_unique<ExchangePart>(part); }

}  // namespace spinpot
