// A part of a model file: native spins, as spinpot.models.native_spin.potential writes them.

#include <optional>

#include "guard.h"
#include "model.h"
#include "native_spin_pairs.h"

namespace spinpot {

namespace {

class NativeSpinPart final : public ModelPart {
 public:
  explicit NativeSpinPart(const FilePart& part)
      : types_(part.types()),
        channels_(part.array<int64_t>("channels", {KINDS})),
        magnetic_(part.array<uint8_t>("magnetic", {types_})),
        activation_(part.text("activation")),
        nets_(part, "hidden", types_) {
    read_settings(part);
    read_invariants(part);
    read_energy(part);
    if (part.has("whitening")) errors_.emplace(part, types_ * in_.invariants, in_.energy_scale);
    sight_ = {in_.cutoff, {}, std::vector<double>(types_, 0.0)};
    for (int64_t t = 0; t < types_; ++t)
      for (int64_t j = 0; j < 2 * types_; ++j) sight_.seen.push_back(j < types_);
  }

  const Sight& sight() const override { return sight_; }

  void add(const ClusterPairs& pairs, const Sums& sums) override {
    set_batch(pairs, sums, threads_here(), in_);
    check_code(spinpot_native_spin_forward(&in_, &output_.of(pairs, sums), nullptr));
    output_.add_to(sums);
  }

  const ExpectedErrors* expected_errors() const override { return errors_ ? &*errors_ : nullptr; }

  void fill_rows(const ClusterPairs& pairs, const spinpot_rows& out) override {
    const std::vector<int64_t> frame(pairs.atoms, 0);
    std::vector<double> virial(9 * types_ * in_.invariants);
    Sums sums{};
    sums.virial_of = frame.data(), sums.virials = 1;
    set_batch(pairs, sums, threads_here(), in_);
    const spinpot_derivatives to{out.energy, out.force, out.force_mag, virial.data()};
    check_code(spinpot_native_spin_rows(&in_, &to));
  }

 private:
  using Reals = std::vector<double>;
  using Integers = std::vector<int64_t>;

  void read_settings(const FilePart& part) {
    in_.types = types_;
    in_.radial = part.integer("radial", 1, 1000);
    in_.cutoff = part.number("cutoff", 1e-3, 1e3);
    in_.closest = part.number("closest", 0.0, 1e3);
    in_.width = part.number("width", 1e-6, 1e3);
    in_.energy_scale = part.number("energy_scale", 0.0, 1e9);
  }

  // Sizes come from the arrays of the file or are limited by them, so that a file cannot request memory without having
  // data.
  void read_invariants(const FilePart& part) {
    int64_t given = 5, mixed = 0;
    for (int64_t kind = 0; kind < KINDS; ++kind) {
      part.require(0 <= channels_[kind] && channels_[kind] <= 1000000, "channels are out of range");
      given += channels_[kind] * COMPONENTS[kind];
      mixed += channels_[kind];
    }
    part.require(magnetic_ == part.magnetic(), "magnetic is not that of the model");
    in_.terms = part.length("coefficient");
    in_.invariants = part.length("features");
    in_.places = part.integer("places", given, given + in_.terms);
    keep(part, "moment_square", {types_}, in_.moment_square);
    keep(part, "mixing", {types_, types_ * in_.radial, mixed}, in_.mixing);
    keep(part, "coefficient", {in_.terms}, in_.coefficient);
    keep(part, "factors", {in_.terms, 3}, in_.factors);
    keep(part, "sum", {in_.terms}, in_.sum);
    keep(part, "features", {in_.invariants}, in_.features);
    in_.magnetic = magnetic_.data();
    in_.channels = channels_.data();
  }

  void read_energy(const FilePart& part) {
    for (const auto& [name, to] : {std::pair{"mean", &in_.mean}, {"scale", &in_.scale}, {"linear", &in_.linear},
                                   {"centre", &in_.centre}, {"nearness", &in_.nearness}})
      keep(part, name, {types_, in_.invariants}, *to);
    in_.activation = activation_.c_str();
    in_.threshold = part.number("threshold", 0.0, 1e9);
    in_.layers = nets_.layers();
    in_.widths = nets_.widths().data();
    in_.hidden = nets_.pointers();
    if (in_.layers == 0) return;
    reals_.push_back(part.array<double>("last_weight", {types_, nets_.widths().back()}));
    in_.last_weight = reals_.back().data();
    reals_.push_back(part.array<double>("last_bias", {types_}));
    in_.last_bias = reals_.back().data();
  }

  void keep(const FilePart& part, const char* name, const Integers& shape, const double*& to) {
    reals_.push_back(part.array<double>(name, shape));
    to = reals_.back().data();
  }
  void keep(const FilePart& part, const char* name, const Integers& shape, const int64_t*& to) {
    integers_.push_back(part.array<int64_t>(name, shape));
    to = integers_.back().data();
  }

  int64_t types_;
  Integers channels_;
  std::vector<uint8_t> magnetic_;
  std::string activation_;
  FileNets nets_;
  std::vector<Reals> reals_;
  std::vector<Integers> integers_;
  spinpot_native_spin in_ = {};
  Sight sight_;
  KernelOutput output_;
  std::optional<ExpectedErrors> errors_;
};

}  // namespace

std::unique_ptr<ModelPart> read_native_spin(const FilePart& part) { return std::make_unique<NativeSpinPart>(part); }

}  // namespace spinpot
