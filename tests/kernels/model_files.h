// Model files as spinpot.models.model_file writes them, with random numbers, and clusters of atoms to evaluate.

#pragma once

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "checks.h"
#include "interface.h"

namespace {

using Shape = std::vector<int64_t>;

std::mt19937 any{1};

inline std::vector<double> some(int64_t count, double size = 0.5) {
  std::vector<double> numbers(count);
  for (double& number : numbers) number = std::uniform_real_distribution<double>(-size, size)(any);
  return numbers;
}

inline int64_t product(const Shape& shape) {
  int64_t all = 1;
  for (int64_t extent : shape) all *= extent;
  return all;
}

inline std::string words(const Shape& numbers) {
  std::string made;
  for (int64_t number : numbers) made += (made.empty() ? "" : ",") + std::to_string(number);
  return "[" + made + "]";
}

inline uint32_t crc(const std::string& bytes) {
  uint32_t state = ~0u;
  for (char byte : bytes) {
    state ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ (state & 1 ? 0xEDB88320u : 0u);
  }
  return ~state;
}

inline std::string escaped(const std::string& text) {
  std::string made;
  for (char byte : text) {
    if (static_cast<unsigned char>(byte) < 0x20) continue;
    if (byte == '"' || byte == '\\') made += '\\';
    made += byte;
  }
  return made;
}

// What a file holds; `bytes` are those of a file as spinpot.models.model_file writes it.
struct File {
  struct Array {
    std::string name, kind;
    Shape shape;
    std::string bytes;
  };
  struct Part {
    std::string kind, settings, fields;
  };
  std::vector<Array> arrays;
  std::vector<Part> parts;
  std::string format = "1", elements, magnetic, time_reversal = "false";

  template <typename T>
  void add(const std::string& field, const Shape& shape, const std::vector<T>& numbers) {
    CHECK(int64_t(numbers.size()) == product(shape));
    const char* kind_of = sizeof(T) == 1 ? "U8" : std::is_same_v<T, double> ? "F64" : "I64";
    const std::string name = parts.size() > 1 ? parts.back().kind + "." + field : field;
    const auto* bytes = reinterpret_cast<const char*>(numbers.data());
    arrays.push_back({name, kind_of, shape, {bytes, numbers.size() * sizeof(T)}});
    if (parts.empty()) return;
    std::string& fields = parts.back().fields;
    fields += (fields.empty() ? "\"" : ",\"") + field + "\":\"" + name + "\"";
  }
  void add(const std::string& field, const Shape& shape, double size = 0.5) {
    add(field, shape, some(product(shape), size));
  }
  template <typename T>
  void set(const std::string& name, T value) {
    say(name, std::to_string(value));
  }
  void say(const std::string& name, const std::string& value) {
    std::string& settings = parts.back().settings;
    settings += (settings.empty() ? "\"" : ",\"") + name + "\":" + value;
  }
  Array& array(const std::string& name) {
    for (Array& own : arrays)
      if (own.name == name) return own;
    CHECK(false);
    return arrays[0];
  }

  std::string text() const {
    std::string listed;
    for (const Part& part : parts)
      listed += (listed.empty() ? "{\"kind\":\"" : ",{\"kind\":\"") + part.kind + "\",\"settings\":{" + part.settings +
                "},\"arrays\":{" + part.fields + "}}";
    return "{\"format\":" + format + ",\"elements\":" + elements + ",\"magnetic\":" + magnetic +
           ",\"time_reversal\":" + time_reversal + ",\"energy_bias\":\"energy_bias\",\"parts\":[" + listed + "]}";
  }
  std::string data() const {
    std::string made;
    for (const Array& own : arrays) made += own.bytes;
    return made;
  }
  // Any text in place of the file's, with the checksum that it would have.
  std::string bytes(const std::string& text) const {
    char sum[9];
    std::snprintf(sum, sizeof sum, "%08x", static_cast<unsigned>(crc(text + data())));
    std::string header = "{\"__metadata__\":{\"spinpot\":\"" + escaped(text) + "\",\"checksum\":\"" + sum + "\"}";
    int64_t at = 0;
    for (const Array& own : arrays) {
      const int64_t end = at + int64_t(own.bytes.size());
      header += ",\"" + own.name + "\":{\"dtype\":\"" + own.kind + "\",\"shape\":" + words(own.shape) +
                ",\"data_offsets\":" + words({at, end}) + "}";
      at = end;
    }
    return with_length(header + "}") + data();
  }
  std::string bytes() const { return bytes(text()); }

  static std::string with_length(const std::string& header) {
    const uint64_t length = header.size();
    return std::string(reinterpret_cast<const char*>(&length), sizeof length) + header;
  }
};

struct Sizes {
  int64_t types = 2;
  Shape embedding = {1, 3, 6}, fitting = {12, 5, 5};
  int64_t axis = 2;
  bool one_side = false, idt = true;
};

inline File start(int64_t types, const std::string& kind) {
  File file;
  for (int64_t t = 0; t < types; ++t) {
    file.elements += (t ? ",\"E" : "[\"E") + std::to_string(t) + "\"";
    file.magnetic += std::string(t ? "," : "[") + (t % 2 ? "false" : "true");
  }
  file.elements += "]", file.magnetic += "]";
  file.add("energy_bias", {types});
  file.parts.push_back({kind, "", ""});
  return file;
}

inline void add_nets(File& file, const std::string& name, const Shape& widths, int64_t count, bool idt) {
  for (size_t l = 1; l < widths.size(); ++l) {
    const std::string first = name + "." + std::to_string(3 * l - 3);
    file.add(first, {count, widths[l - 1], widths[l]});
    file.add(name + "." + std::to_string(3 * l - 2), {count, 1, widths[l]});
    if (idt) file.add(name + "." + std::to_string(3 * l - 1), {count, 1, widths[l]});
  }
  if (name == "embedding") return;
  file.add("last_weight", {count, widths.back(), 1});
  file.add("last_bias", {count, 1, 1});
}

inline File deepspin(const Sizes& sizes = {}) {
  const int64_t types = sizes.types, neighbours = 2 * types;
  File file = start(types, "deepspin");
  file.set("rcut", 4.0), file.set("rcut_smth", 1.0), file.set("protection", 0.1), file.set("axis", sizes.axis);
  file.set("scale", 2.0), file.set("chunk", 28), file.set("beyond", 4), file.set("rounding", 0.001);
  file.say("type_one_side", sizes.one_side ? "true" : "false");
  for (const char* of : {"embedding", "fitting"}) {
    file.say(std::string(of) + "_activation", "\"tanh\"");
    file.set(std::string(of) + "_threshold", 0.0);
  }
  std::string closest;
  for (int64_t t = 0; t < types; ++t) closest += t ? ",1.5" : "1.5";
  file.say("closest", "[" + closest + "]");
  std::vector<double> eta;
  std::vector<uint8_t> seen;
  for (int64_t j = 0; j < neighbours; ++j) eta.push_back(j < types || j % types % 2 ? 0.0 : 0.3);
  for (int64_t t = 0; t < types; ++t)
    for (int64_t j = 0; j < neighbours; ++j) seen.push_back(j < types || j % types % 2 == 0);
  file.add("davg", {types, 4}, std::vector<double>(4 * types, 0.02));
  file.add("dstd", {types, 4}, std::vector<double>(4 * types, 0.1));
  file.add("sel", {neighbours}, std::vector<double>(neighbours, 40.0));
  file.add("eta", {neighbours}, eta);
  file.add("seen", {types, neighbours}, seen);
  file.add("numbers", {types, neighbours}, std::vector<int64_t>(types * neighbours, 24));
  file.add("polynomials", {8, 8}, 0.1);
  add_nets(file, "embedding", sizes.embedding, neighbours * (sizes.one_side ? 1 : types), sizes.idt);
  add_nets(file, "fitting", sizes.fitting, types, sizes.idt);
  return file;
}

inline File native_spin(int64_t types = 2, int64_t radial = 3, Shape channels = {2, 1, 0, 2, 1, 0, 0, 1},
                 const Shape& hidden = {5, 5}) {
  constexpr int64_t components[] = {1, 3, 6, 3, 6, 9, 18, 3};
  File file = start(types, "native_spin");
  int64_t given = 5, mixed = 0;
  channels.resize(8);
  for (size_t kind = 0; kind < 8; ++kind) given += channels[kind] * components[kind], mixed += channels[kind];
  std::vector<int64_t> factors, sum, features;
  for (int64_t place = 2; place < given; ++place) {
    const int64_t made = given + place - 2;
    for (int64_t other : {int64_t(0), int64_t(2)}) {
      sum.push_back(made);
      factors.insert(factors.end(), {place, other, place % 3 ? int64_t(0) : place});
    }
    features.push_back(made);
  }
  const int64_t size = features.size(), terms = sum.size();
  file.set("radial", radial), file.set("places", given + size), file.set("cutoff", 4.0), file.set("closest", 1.0);
  file.set("width", 0.7), file.set("energy_scale", 0.1), file.say("activation", "\"tanh\""), file.set("threshold", 0.0);
  std::vector<uint8_t> magnetic;
  for (int64_t t = 0; t < types; ++t) magnetic.push_back(t % 2 == 0);
  file.add("magnetic", {types}, magnetic);
  file.add("moment_square", {types});
  file.add("mixing", {types, types * radial, mixed});
  for (const char* name : {"mean", "scale", "linear", "centre"}) file.add(name, {types, size});
  file.add("nearness", {types, size}, std::vector<double>(types * size, 0.1));
  file.add("coefficient", {terms});
  file.add("factors", {terms, 3}, factors);
  file.add("sum", {terms}, sum);
  file.add("features", {size}, features);
  file.add("channels", {8}, channels);
  Shape widths = {size};
  widths.insert(widths.end(), hidden.begin(), hidden.end());
  if (!hidden.empty()) add_nets(file, "hidden", widths, types, true);
  return file;
}

// The same with all terms of the exchange energy.
inline File with_exchange(File file, int64_t types = 2) {
  const int64_t radial = 3, magnetic = (types + 1) / 2, fields = 2;
  const int64_t products = magnetic * fields * (magnetic * fields + 1) / 2;
  file.parts.push_back({"exchange", "", ""});
  file.set("cutoff", 4.0), file.set("n_radial", radial), file.set("n_field", fields);
  file.say("terms", "[\"bilinear\",\"biquadratic\",\"anisotropic\",\"single_ion\",\"landau\",\"landau_field\"]");
  std::vector<int64_t> place, every;
  for (int64_t t = 0; t < types; ++t) place.push_back(t % 2 ? -1 : t / 2), every.push_back(types - 1 - t);
  file.add("seen", {types, 2 * types}, std::vector<uint8_t>(2 * types * types, 1));
  file.add("magnetic", {types}, place);
  file.add("elements", {types}, every);
  file.add("moment_squared", {magnetic});
  for (const char* name : {"bilinear", "biquadratic", "anisotropic"})
    file.add(name, {magnetic * (magnetic + 1) / 2, radial});
  file.add("single_ion", {magnetic * types, radial});
  file.add("landau", {magnetic, 2});
  file.add("linear", {magnetic, magnetic * fields});
  for (const char* name : {"along", "across"}) file.add(name, {magnetic, products});
  return file;
}

// The same with what expected errors need.
inline File with_errors(File file, int64_t types = 2) {
  const int64_t columns = file.array("mean").shape[1] * types + types;
  file.add("whitening", {columns, columns});
  file.add("usual", {3}, std::vector<double>{0.1, 0.2, 0.3});
  file.add("noise", {3}, std::vector<double>{0.1, -1.0, 0.3});
  return file;
}

// A file of the disk, as long as this lives.
class OnDisk {
 public:
  OnDisk() {
    const char* folder = std::getenv("TMPDIR");
    path = std::string(folder ? folder : "/tmp") + "/spinpot-model-XXXXXX";
    const int descriptor = mkstemp(path.data());
    CHECK(descriptor >= 0);
    close(descriptor);
  }
  ~OnDisk() { std::remove(path.c_str()); }
  void write(const std::string& bytes) const {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    CHECK(file && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size());
    std::fclose(file);
  }
  std::string path;
};

// Null, with an error in words that has the path, for a file that is refused.
inline spinpot_model* read(const OnDisk& disk, const std::string& bytes) {
  disk.write(bytes);
  spinpot_model* model = nullptr;
  const int code = spinpot_model_read(disk.path.c_str(), &model);
  CHECK((code == 0) == (model != nullptr));
  if (code) CHECK(std::string(spinpot_error()).find(disk.path) != std::string::npos);
  return model;
}

// Atoms in a ball, the first ones centres, in arrays of just the size that the interface names.
struct Cluster {
  int64_t atoms, centres;
  std::vector<int64_t> types;
  std::vector<double> coord, spin;
  std::vector<std::vector<int32_t>> lists;
  int32_t mask = ~0;
  std::vector<double> energy, force, force_mag, virial, atom_virial;

  Cluster(int64_t atoms, int64_t centres, int64_t n_types, double size = 2.0)
      : atoms(atoms), centres(centres), coord(some(3 * atoms, size)), spin(some(3 * atoms, 2.0)) {
    for (int64_t i = 0; i < atoms; ++i) types.push_back((i * 7 + i / 3) % n_types);
    of_elements.assign(n_types, 20);
    lists.resize(centres);
    for (int64_t i = 0; i < centres; ++i)
      for (int64_t j = 0; j < atoms; ++j)
        if (j != i) lists[i].push_back(j);
  }

  int evaluate(spinpot_model* model, int64_t threads = 1, bool each = true, bool everything = true) {
    energy.assign(centres, NAN), force.assign(3 * atoms, NAN), force_mag.assign(3 * atoms, NAN);
    virial.assign(9, NAN), atom_virial.assign(9 * centres, NAN);
    std::vector<const int32_t*> candidates;
    std::vector<int32_t> counts;
    for (const auto& list : lists) candidates.push_back(list.data()), counts.push_back(int32_t(list.size()));
    const spinpot_cluster given{atoms,      centres, types.data(), coord.data(), spin.data(), candidates.data(),
                                counts.data(), mask};
    spinpot_cluster_derivatives to{energy.data(), force.data(), force_mag.data(), virial.data(),
                                   each ? atom_virial.data() : nullptr};
    if (!everything) to = {};
    return spinpot_model_evaluate(model, &given, &to, threads);
  }

  // Of rows of all centres: leverages, and both expected errors of forces (atoms,), and that of the energy.
  int expect_errors(spinpot_model* model, int64_t threads = 1) {
    spinpot_model_facts facts;
    CHECK(spinpot_model_facts_of(model, &facts) == 0 && facts.row_size > 0);
    std::vector<double> of_energy(facts.row_size), of_force(3 * atoms * facts.row_size), of_force_mag = of_force;
    std::vector<const int32_t*> candidates;
    std::vector<int32_t> counts;
    for (const auto& list : lists) candidates.push_back(list.data()), counts.push_back(int32_t(list.size()));
    const spinpot_cluster given{atoms,      centres, types.data(), coord.data(), spin.data(), candidates.data(),
                                counts.data(), mask};
    const spinpot_rows rows{of_energy.data(), of_force.data(), of_force_mag.data()};
    if (spinpot_model_rows(model, &given, &rows, threads)) return 1;
    for (auto* numbers : {&errors[0], &errors[1], &errors[2]}) numbers->assign(atoms, NAN);
    errors[3] = {NAN};
    const spinpot_complete_rows complete{atoms,           types.data(),     of_elements.data(), of_energy.data(),
                                         of_force.data(), of_force_mag.data()};
    const spinpot_uncertainty to{errors[0].data(), errors[1].data(), errors[2].data(), errors[3].data()};
    return spinpot_model_uncertainty(model, &complete, &to, threads);
  }
  std::vector<double> errors[4];
  std::vector<int64_t> of_elements;
};

}  // namespace
