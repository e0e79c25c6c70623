#include "model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <new>
#include <numeric>
#include <stdexcept>
#include <string>

#include "blocks.h"
#include "model_pairs.h"
#include "safetensors.h"

namespace spinpot {

const spinpot_derivatives& KernelOutput::of(const ClusterPairs& pairs, const Sums& sums) {
  centres_ = pairs.centres;
  energy_.assign(pairs.atoms, 0.0);  // kernels write only the energies of the current slice's centres
  to_ = {energy_.data(), nullptr, nullptr, nullptr};
  for (auto* numbers : {&force_, &force_mag_, &virial_}) numbers->clear();
  if (!sums.force) return to_;
  force_.resize(3 * pairs.atoms);
  force_mag_.resize(3 * pairs.atoms);
  virial_.resize(9 * sums.virials);
  return to_ = {energy_.data(), force_.data(), force_mag_.data(), virial_.data()};
}

void KernelOutput::add_to(const Sums& sums) const {
  const auto add = [](const std::vector<double>& numbers, int64_t count, double* to) {
    for (int64_t n = 0; n < count; ++n) to[n] += numbers[n];
  };
  add(energy_, centres_, sums.energy);
  add(force_, force_.size(), sums.force);
  add(force_mag_, force_mag_.size(), sums.force_mag);
  add(virial_, virial_.size(), sums.virial);
}

void check_code(int code) {
  if (code) throw std::runtime_error(spinpot_error());
}

namespace {

constexpr int64_t FORMAT = 1;  // the newest file format that this library reads
constexpr size_t MOST_ELEMENTS = 128;
constexpr int64_t SLICE = 1 << 16;  // number of centres whose pairs are in memory at a time

// The checked metadata of a file.
Json header_of(const Safetensors& file) {
  const std::string *text = file.metadata("spinpot"), *checksum = file.metadata("checksum");
  if (!text) file.damaged("it has no entry spinpot");
  Json header;
  try {
    header = JsonReader::read(*text);
  } catch (const NotJson& error) {
    file.damaged(error.what());
  }
  const double* format = header.find("format") ? header.find("format")->number() : nullptr;
  if (!format) file.damaged("it says no format");
  if (*format > FORMAT)
    file.refuse("this model file is of a newer spinpot, in a format that this one does not know. Update spinpot; for "
                "LAMMPS build the plugin again, too.");
  char sum[9];
  std::snprintf(sum, sizeof sum, "%08x", static_cast<unsigned>(file.checksum(*text)));
  if (!checksum || *checksum != sum) file.damaged("its contents are not those that were written");
  return header;
}

// The elements of a model.
struct Elements {
  std::vector<std::string> names;
  std::vector<uint8_t> magnetic;
  std::vector<double> least, greatest;  // range of |S| in training, NaN if unknown

  Elements(const Safetensors& file, const Json& header) {
    const Json *named = header.find("elements"), *with_spin = header.find("magnetic");
    const bool lists = named && named->list() && with_spin && with_spin->list();
    if (!lists || named->list()->empty() || named->list()->size() > MOST_ELEMENTS ||
        named->list()->size() != with_spin->list()->size())
      file.damaged("it names no elements");
    for (size_t t = 0; t < named->list()->size(); ++t) {
      const std::string* name = (*named->list())[t].text();
      const bool* one = (*with_spin->list())[t].truth();
      if (!name || name->empty() || name->find('\0') != std::string::npos || !one) file.damaged("it names no elements");
      names.push_back(*name);
      magnetic.push_back(*one);
      read_moments(header, *name);
    }
  }

 private:
  void read_moments(const Json& header, const std::string& name) {
    const Json *facts = header.find("training_facts"), *moments = facts ? facts->find("moments") : nullptr;
    const Json* range = moments ? moments->find(name) : nullptr;
    const bool known = range && range->list() && range->list()->size() == 2 && (*range->list())[0].number() &&
                       (*range->list())[1].number();
    least.push_back(known ? *(*range->list())[0].number() : NAN);
    greatest.push_back(known ? *(*range->list())[1].number() : NAN);
  }
};

void check(const spinpot_cluster& cluster, int64_t types) {
  require(0 <= cluster.centres && cluster.centres <= cluster.atoms && cluster.atoms < int64_t(1) << 31,
          "centres that are atoms of the cluster");
  require(within(cluster.types, cluster.atoms, types), "elements of the model");
}

}  // namespace

}  // namespace spinpot

using namespace spinpot;

struct spinpot_model {
 public:
  explicit spinpot_model(const std::string& path) : spinpot_model(Safetensors(path)) {}

  spinpot_model_facts facts() const {
    const Sight& sight = inner_->sight();
    const ExpectedErrors* errors = inner_->expected_errors();
    return {kind_.c_str(), names_.data(), elements_.magnetic.data(), sight.virtual_scale.data(), types(),
            elements_.least.data(), elements_.greatest.data(), sight.cutoff, errors ? errors->size() : 0};
  }

  void evaluate(const spinpot_cluster& cluster, const spinpot_cluster_derivatives& out) {
    check(cluster, types());
    prepare(cluster, out.atom_virial, out.force || out.force_mag || out.virial || out.atom_virial);
    add_parts(cluster);
    for (int64_t i = 0; i < cluster.centres; ++i) sums_.energy[i] += energy_bias_[cluster.types[i]];
    write(out);
  }

  void fill_rows(const spinpot_cluster& cluster, const spinpot_rows& out) {
    expected_errors();
    check(cluster, types());
    inner_->fill_rows(finder_->find(cluster, cluster.spin), out);
  }

  const ExpectedErrors& expected_errors() const {
    require(inner_->expected_errors(), "a model that expects errors: native spins that began by least squares");
    return *inner_->expected_errors();
  }

 private:
  // The arrays that parts add to.
  struct Numbers {
    std::vector<double> energy, force, force_mag, virial;

    // Sets all numbers to zero. Without `differentiated` there are only energies.
    Sums sums(int64_t centres, int64_t atoms, const std::vector<int64_t>& virial_of, int64_t virials,
              bool differentiated) {
      energy.assign(centres, 0.0);
      for (auto* numbers : {&force, &force_mag}) numbers->assign(differentiated ? 3 * atoms : 0, 0.0);
      virial.assign(differentiated ? 9 * virials : 0, 0.0);
      if (!differentiated) return {energy.data(), nullptr, nullptr, nullptr, virial_of.data(), virials};
      return {energy.data(), force.data(), force_mag.data(), virial.data(), virial_of.data(), virials};
    }
  };

  explicit spinpot_model(const Safetensors& file) : spinpot_model(file, header_of(file)) {}

  spinpot_model(const Safetensors& file, const Json& header) : elements_(file, header) {
    for (const auto& name : elements_.names) names_.push_back(name.c_str());
    const Json *reversed = header.find("time_reversal"), *bias = header.find("energy_bias"), *parts = header.find("parts");
    if (!reversed || !reversed->truth() || !bias || !bias->text() || !parts || !parts->list())
      file.damaged("it has no parts");
    time_reversal_ = *reversed->truth();
    energy_bias_ = file.array<double>(*bias->text(), {types()});
    try {
      for (const Json& part : *parts->list()) read(file, FilePart(file, part, elements_.magnetic));
    } catch (const std::invalid_argument& error) {
      file.damaged(error.what());
    }
    if (!inner_) file.damaged("it has no parts");
    if (exchange_ && !sees_the_same(exchange_->sight())) file.damaged("its parts see other pairs");
    finder_ = std::make_unique<ClusterPairFinder>(inner_->sight());
    evaluate_lone_atoms(file);
  }

  int64_t types() const { return elements_.names.size(); }

  void read(const Safetensors& file, const FilePart& part) {
    if (part.kind() == "exchange") {
      if (exchange_) file.damaged("it has two exchange terms");
      exchange_ = read_exchange(part);
      return;
    }
    if (part.kind() != "deepspin" && part.kind() != "native_spin")
      file.refuse("this model has a part of the kind '" + part.kind() + "', which this spinpot does not know. Update "
                  "spinpot; for LAMMPS build the plugin again, too.");
    if (inner_) file.damaged("it has two models");
    kind_ = part.kind();
    try {
      inner_ = kind_ == "deepspin" ? read_deepspin(part) : read_native_spin(part);
    } catch (const std::invalid_argument& error) {  // from preparing the kernel
      file.damaged(error.what());
    }
  }

  // Whether a part has the same real neighbours as the inner model.
  bool sees_the_same(const Sight& other) const {
    const Sight& own = inner_->sight();
    for (int64_t t = 0; t < types(); ++t) {
      const uint8_t *ours = own.seen.data() + 2 * types() * t, *theirs = other.seen.data() + 2 * types() * t;
      const auto same = [](uint8_t a, uint8_t b) { return !a == !b; };
      if (!std::equal(ours, ours + types(), theirs, same)) return false;
    }
    return own.cutoff == other.cutoff;
  }

  // Evaluates an atom of each element without neighbours, so that wrong arrays are an error now and not in the first step.
  void evaluate_lone_atoms(const Safetensors& file) {
    const Sight blind{1.0, std::vector<uint8_t>(2 * types() * types()), std::vector<double>(types())};
    std::vector<int64_t> each(types());
    std::iota(each.begin(), each.end(), 0);
    const std::vector<double> nowhere(3 * types());
    const std::vector<int32_t> none(types());
    const std::vector<const int32_t*> candidates(types());
    const spinpot_cluster cluster{types(),           types(),     each.data(), nowhere.data(), nowhere.data(),
                                  candidates.data(), none.data(), ~0};
    prepare(cluster, false, true);
    ClusterPairFinder finder(blind);
    const ClusterPairs& pairs = finder.find(cluster, cluster.spin);
    try {
      inner_->add(pairs, sums_);
      if (exchange_) exchange_->add(pairs, sums_);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      file.damaged(error.what());
    }
  }

  void prepare(const spinpot_cluster& cluster, bool of_centres, bool differentiated) {
    centres_ = cluster.centres, atoms_ = cluster.atoms;
    virial_of_.assign(atoms_, 0);
    if (of_centres) std::iota(virial_of_.begin(), virial_of_.begin() + centres_, 0);
    sums_ = numbers_.sums(centres_, atoms_, virial_of_, of_centres ? centres_ : 1, differentiated);
  }

  // Calls body(pairs) for slices of the centres, which limits the memory for their pairs.
  template <typename Body>
  void each_slice(const spinpot_cluster& cluster, const double* spin, const Body& body) {
    for (int64_t first = 0; first < centres_; first += SLICE)
      body(finder_->find(cluster, spin, first, std::min(first + SLICE, centres_)));
  }

  void add_parts(const spinpot_cluster& cluster) {
    if (time_reversal_) return add_both(cluster);
    each_slice(cluster, cluster.spin, [&](const ClusterPairs& pairs) {
      inner_->add(pairs, sums_);
      if (exchange_) exchange_->add(pairs, sums_);
    });
  }

  // Adds the mean of the inner model for S and −S. The magnetic force is odd in S. The exchange term is even by definition.
  void add_both(const spinpot_cluster& cluster) {
    reversed_.resize(3 * atoms_);
    std::transform(cluster.spin, cluster.spin + 3 * atoms_, reversed_.begin(), std::negate<double>());
    const auto add_inner = [&](const ClusterPairs& pairs) { inner_->add(pairs, sums_); };
    each_slice(cluster, reversed_.data(), add_inner);
    for (double& number : numbers_.force_mag) number = -number;
    each_slice(cluster, cluster.spin, add_inner);
    halve();
    if (exchange_)
      each_slice(cluster, cluster.spin, [&](const ClusterPairs& pairs) { exchange_->add(pairs, sums_); });
  }

  void halve() {
    for (auto* numbers : {&numbers_.energy, &numbers_.force, &numbers_.force_mag, &numbers_.virial})
      for (double& number : *numbers) number /= 2.0;
  }

  void write(const spinpot_cluster_derivatives& out) const {
    const auto copy = [](const std::vector<double>& numbers, double* to) {
      if (to) std::copy(numbers.begin(), numbers.end(), to);
    };
    copy(numbers_.energy, out.energy);
    copy(numbers_.force, out.force);
    copy(numbers_.force_mag, out.force_mag);
    copy(numbers_.virial, out.atom_virial);
    if (!out.virial) return;
    std::fill_n(out.virial, 9, 0.0);
    for (size_t n = 0; n < numbers_.virial.size(); ++n) out.virial[n % 9] += numbers_.virial[n];
  }

  Elements elements_;
  std::vector<const char*> names_;
  std::string kind_;
  bool time_reversal_ = false;
  std::vector<double> energy_bias_;
  std::unique_ptr<ModelPart> inner_, exchange_;
  std::unique_ptr<ClusterPairFinder> finder_;

  // The current evaluation.
  int64_t centres_ = 0, atoms_ = 0;
  Numbers numbers_;
  Sums sums_ = {};
  std::vector<int64_t> virial_of_;
  std::vector<double> reversed_;
};

int spinpot_model_read(const char* path, spinpot_model** model) {
  return guarded(1, [&] {
    require(path && model, "the path of a model file");
    try {
      *model = new spinpot_model(path);
    } catch (const std::bad_alloc&) {
      throw std::runtime_error(std::string(path) + ": there is too little memory for this model.");
    }
  });
}

void spinpot_model_free(spinpot_model* model) { delete model; }

int spinpot_model_facts_of(const spinpot_model* model, spinpot_model_facts* facts) {
  return guarded(1, [&] { *facts = model->facts(); });
}

int spinpot_model_evaluate(spinpot_model* model, const spinpot_cluster* cluster,
                           const spinpot_cluster_derivatives* out, int64_t threads) {
  return guarded(threads, [&] { model->evaluate(*cluster, *out); });
}

int spinpot_model_rows(spinpot_model* model, const spinpot_cluster* cluster, const spinpot_rows* out,
                       int64_t threads) {
  return guarded(threads, [&] { model->fill_rows(*cluster, *out); });
}

int spinpot_model_uncertainty(const spinpot_model* model, const spinpot_complete_rows* rows,
                              const spinpot_uncertainty* out, int64_t threads) {
  return guarded(threads, [&] { model->expected_errors().evaluate(*rows, *out); });
}
