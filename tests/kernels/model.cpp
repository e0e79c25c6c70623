// Models of files: evaluated for clusters of any size, and read from damaged and hostile files.

#include <unistd.h>

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

std::vector<double> some(int64_t count, double size = 0.5) {
  std::vector<double> numbers(count);
  for (double& number : numbers) number = std::uniform_real_distribution<double>(-size, size)(any);
  return numbers;
}

int64_t product(const Shape& shape) {
  int64_t all = 1;
  for (int64_t extent : shape) all *= extent;
  return all;
}

std::string words(const Shape& numbers) {
  std::string made;
  for (int64_t number : numbers) made += (made.empty() ? "" : ",") + std::to_string(number);
  return "[" + made + "]";
}

uint32_t crc(const std::string& bytes) {
  uint32_t state = ~0u;
  for (char byte : bytes) {
    state ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) state = state >> 1 ^ (state & 1 ? 0xEDB88320u : 0u);
  }
  return ~state;
}

std::string escaped(const std::string& text) {
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
    arrays.push_back({name, kind_of, shape, {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(T)}});
    if (!parts.empty()) parts.back().fields += (parts.back().fields.empty() ? "\"" : ",\"") + field + "\":\"" + name + "\"";
  }
  void add(const std::string& field, const Shape& shape, double size = 0.5) { add(field, shape, some(product(shape), size)); }
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

File start(int64_t types, const std::string& kind) {
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

void add_nets(File& file, const std::string& name, const Shape& widths, int64_t count, bool idt) {
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

File deepspin(const Sizes& sizes = {}) {
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

File native_spin(int64_t types = 2, int64_t radial = 3, Shape channels = {2, 1, 0, 2, 1, 0, 0, 1},
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
File with_exchange(File file, int64_t types = 2) {
  const int64_t radial = 3, fields = 2, magnetic = (types + 1) / 2, products = magnetic * fields * (magnetic * fields + 1) / 2;
  file.parts.push_back({"exchange", "", ""});
  file.set("cutoff", 4.0), file.set("n_radial", radial), file.set("n_field", fields);
  file.say("terms", "[\"bilinear\",\"biquadratic\",\"anisotropic\",\"single_ion\",\"landau\",\"landau_field\"]");
  std::vector<int64_t> place, every;
  for (int64_t t = 0; t < types; ++t) place.push_back(t % 2 ? -1 : t / 2), every.push_back(types - 1 - t);
  file.add("seen", {types, 2 * types}, std::vector<uint8_t>(2 * types * types, 1));
  file.add("magnetic", {types}, place);
  file.add("elements", {types}, every);
  file.add("moment_squared", {magnetic});
  for (const char* name : {"bilinear", "biquadratic", "anisotropic"}) file.add(name, {magnetic * (magnetic + 1) / 2, radial});
  file.add("single_ion", {magnetic * types, radial});
  file.add("landau", {magnetic, 2});
  file.add("linear", {magnetic, magnetic * fields});
  for (const char* name : {"along", "across"}) file.add(name, {magnetic, products});
  return file;
}

// The same with what expected errors need.
File with_errors(File file, int64_t types = 2) {
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
spinpot_model* read(const OnDisk& disk, const std::string& bytes) {
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

bool close_to(const std::vector<double>& found, const std::vector<double>& wanted) {
  double largest = 0.0, off = 0.0;
  for (double number : wanted) largest = std::max(largest, std::abs(number));
  for (size_t n = 0; n < wanted.size(); ++n) off = std::max(off, std::abs(found[n] - wanted[n]));
  return found.size() == wanted.size() && off <= 1e-12 * largest;  // not so for NaN
}

bool same(const Cluster& one, const Cluster& other) {
  return close_to(one.energy, other.energy) && close_to(one.force, other.force) &&
         close_to(one.force_mag, other.force_mag) && close_to(one.virial, other.virial);
}

void check_clusters(const File& file, int64_t types) {
  const OnDisk disk;
  spinpot_model* model = read(disk, file.bytes());
  CHECK(model);
  for (const auto& [atoms, centres] : {std::pair<int64_t, int64_t>{0, 0}, {1, 1}, {5, 0}, {9, 3}, {40, 33}, {150, 149}}) {
    Cluster one(atoms, centres, types, atoms > 20 ? 5.0 : 2.0);
    CHECK(one.evaluate(model) == 0);
    for (int64_t threads : {1, 2, 5}) {
      Cluster again = one;
      for (auto& list : again.lists) std::shuffle(list.begin(), list.end(), any);
      CHECK(again.evaluate(model, threads, threads == 2) == 0 && same(again, one));
      CHECK(again.evaluate(model, threads, false, false) == 0);
    }
    std::vector<double> sum(9, 0.0), total(3, 0.0);
    for (size_t n = 0; n < one.atom_virial.size(); ++n) sum[n % 9] += one.atom_virial[n];
    CHECK(close_to(sum, one.virial));
    for (size_t n = 0; n < one.force.size(); ++n) total[n % 3] += one.force[n];
    for (double force : total) CHECK(std::abs(force) < 1e-9);
  }
  spinpot_model_free(model);
}

void clusters_of_any_size() {
  for (int64_t types : {1, 2, 3}) {
    check_clusters(deepspin({types}), types);
    check_clusters(native_spin(types), types);
    check_clusters(with_exchange(native_spin(types), types), types);
  }
  File reversed = with_exchange(deepspin());
  reversed.time_reversal = "true";
  check_clusters(reversed, 2);
}

void models_of_any_size() {
  check_clusters(deepspin({2, {1, 1}, {1, 1}, 1}), 2);
  check_clusters(deepspin({2, {1, 4, 4, 7}, {21, 5, 10, 10, 4}, 3, true, false}), 2);
  check_clusters(native_spin(2, 1, {1}, {1}), 2);
  check_clusters(native_spin(2, 6, {}, {3}), 2);
  check_clusters(native_spin(3, 31, {1, 2, 1, 1, 1, 1, 1, 1}, {}), 3);
}

// Copies of a molecule that do not see each other, more atoms than are evaluated together.
void many_atoms() {
  const int64_t size = 8, molecules = 9000, atoms = size * molecules;
  const OnDisk disk;
  File reversed = with_exchange(deepspin({2, {1, 2}, {4, 3}, 2}));
  reversed.time_reversal = "true";
  for (const File& file : {reversed, with_exchange(native_spin(2, 2, {1, 0, 0, 1}, {3}))}) {
    spinpot_model* model = read(disk, file.bytes());
    Cluster one(size, size, 2), all(atoms, 0, 2);
    CHECK(one.evaluate(model) == 0);
    all.centres = atoms;
    all.lists.resize(atoms);
    for (int64_t i = 0; i < atoms; ++i) {
      all.types[i] = one.types[i % size];
      for (int64_t j = i - i % size; j < i - i % size + size; ++j)
        if (j != i) all.lists[i].push_back(int32_t(j));
      for (int64_t a = 0; a < 3; ++a) {
        all.coord[3 * i + a] = one.coord[3 * (i % size) + a];
        all.spin[3 * i + a] = one.spin[3 * (i % size) + a];
      }
    }
    for (bool each : {false, true}) {
      CHECK(all.evaluate(model, 2, each) == 0);
      for (int64_t i = 0; i < atoms; ++i) {
        CHECK(std::abs(all.energy[i] - one.energy[i % size]) < 1e-9);
        for (int64_t a = 0; a < 3; ++a) {
          CHECK(std::abs(all.force[3 * i + a] - one.force[3 * (i % size) + a]) < 1e-9);
          CHECK(std::abs(all.force_mag[3 * i + a] - one.force_mag[3 * (i % size) + a]) < 1e-9);
        }
      }
      for (int64_t n = 0; n < 9; ++n) CHECK(std::abs(all.virial[n] / double(molecules) - one.virial[n]) < 1e-9);
    }
    spinpot_model_free(model);
  }
}

void close_neighbours() {
  const OnDisk disk;
  const std::string bytes = deepspin().bytes();
  spinpot_model *model = read(disk, bytes), *fresh = read(disk, bytes);
  Cluster usual(20, 20, 2, 4.0), close(20, 20, 2, 0.3), apart = usual;
  CHECK(usual.evaluate(model) == 0 && close.evaluate(model) == 0);
  CHECK(apart.evaluate(model) == 0 && same(apart, usual));  // more nodes change nothing
  Cluster at_once = close;
  CHECK(at_once.evaluate(fresh) == 0 && same(at_once, close));
  spinpot_model_free(model);
  spinpot_model_free(fresh);
}

void numbers_that_are_none() {
  const OnDisk disk;
  for (const File& file : {deepspin(), native_spin()}) {
    spinpot_model* model = read(disk, file.bytes());
    for (double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, 0.0})
      for (std::vector<double> Cluster::*which : {&Cluster::coord, &Cluster::spin}) {
        Cluster cluster(20, 15, 2);
        for (double& x : cluster.*which) x = value;
        cluster.evaluate(model);
        (cluster.*which)[7] = 0.1;
        cluster.evaluate(model);
      }
    spinpot_model_free(model);
  }
}

void errors_of_any_size() {
  const OnDisk disk;
  for (int64_t types : {1, 2, 3}) {
    spinpot_model* model = read(disk, with_exchange(with_errors(native_spin(types), types), types).bytes());
    CHECK(model);
    for (const auto& [atoms, centres] : {std::pair<int64_t, int64_t>{0, 0}, {1, 1}, {5, 0}, {9, 3}, {70, 61}}) {
      Cluster one(atoms, centres, types, atoms > 20 ? 5.0 : 2.0);
      CHECK(one.expect_errors(model) == 0);
      for (double leverage : one.errors[0]) CHECK(leverage >= 0.0);
      for (double unknown : one.errors[1]) CHECK(std::isnan(unknown));
      Cluster again = one;
      CHECK(again.expect_errors(model, 3) == 0);
      for (int64_t which : {0, 2, 3}) CHECK(close_to(again.errors[which], one.errors[which]));
    }
    spinpot_model_free(model);
  }
}

void wrong_rows_are_refused() {
  const OnDisk disk;
  spinpot_model *model = read(disk, with_errors(native_spin()).bytes()), *other = read(disk, native_spin().bytes());
  const auto refused = [&](const std::function<void(Cluster&)>& change) {
    Cluster cluster(10, 8, 2);
    change(cluster);
    return cluster.expect_errors(model, 2) != 0 && *spinpot_error();
  };
  CHECK(!refused([](Cluster&) {}));
  for (int64_t number : {int64_t(-1), int64_t(1) << 62}) {
    CHECK(refused([&](Cluster& c) { c.types[9] = number; }));
    CHECK(refused([&](Cluster& c) { c.of_elements[1] = number; }));
  }
  CHECK(refused([](Cluster& c) { c.lists[7].back() = 10; }));
  const spinpot_cluster none{};
  const spinpot_rows nowhere{};
  const spinpot_complete_rows no_rows{-1, nullptr, nullptr, nullptr, nullptr, nullptr};
  CHECK(spinpot_model_rows(other, &none, &nowhere, 1) != 0);
  const spinpot_uncertainty none_of_them{};
  for (const spinpot_model* any_model : {model, other})
    CHECK(spinpot_model_uncertainty(any_model, &no_rows, &none_of_them, 1) != 0);
  spinpot_model_free(model);
  spinpot_model_free(other);
}

void wrong_clusters_are_refused() {
  const OnDisk disk;
  spinpot_model* model = read(disk, native_spin().bytes());
  const auto refused = [&](const std::function<void(Cluster&)>& change) {
    Cluster cluster(10, 8, 2);
    change(cluster);
    return cluster.evaluate(model, 2) != 0 && *spinpot_error();
  };
  CHECK(!refused([](Cluster&) {}));
  for (int64_t type : {int64_t(-1), int64_t(2), int64_t(1) << 62}) CHECK(refused([&](Cluster& c) { c.types[9] = type; }));
  for (int32_t other : {10, -1, 1 << 30}) CHECK(refused([&](Cluster& c) { c.lists[7].back() = other; }));
  CHECK(refused([](Cluster& c) { c.atoms = 7; }));
  CHECK(!refused([](Cluster& c) { c.lists[7].back() |= 1 << 30, c.mask = (1 << 29) - 1; }));
  spinpot_model_free(model);
}

bool refused(const OnDisk& disk, const std::string& bytes) {
  spinpot_model* model = read(disk, bytes);
  spinpot_model_free(model);
  return !model;
}

void what_is_no_model_file_is_refused() {
  const OnDisk disk;
  spinpot_model* model = nullptr;
  for (const char* path : {"/no/such/file", "/", ""}) CHECK(spinpot_model_read(path, &model) != 0 && *spinpot_error());
  CHECK(spinpot_model_read(nullptr, &model) != 0);
  const std::string whole = deepspin().bytes();
  for (const std::string& bytes : {std::string(), std::string("pickle"), std::string(100, '\0'), std::string(100, '\xff'),
                                   File::with_length("{}"), File::with_length("[]"), File::with_length("{\"a\":1}"),
                                   File::with_length("{\"__metadata__\":{}}"), File::with_length("{\"__metadata__\":[]}"),
                                   whole + "x", whole.substr(0, whole.size() - 1)})
    CHECK(refused(disk, bytes));
  for (size_t size = 0; size < whole.size(); size += 1 + size / 50) CHECK(refused(disk, whole.substr(0, size)));
}

// Files that say what no model has, with the right checksum.
void hostile_files_are_refused() {
  const OnDisk disk;
  const auto changed = [&](const std::function<void(File&)>& change, File file = deepspin()) {
    change(file);
    return refused(disk, file.bytes());
  };
  const auto replaced = [&](const std::string& was, const std::string& is, const File& file = deepspin()) {
    std::string text = file.text();
    const size_t place = text.find(was);
    CHECK(place != std::string::npos);
    return refused(disk, file.bytes(text.replace(place, was.size(), is)));
  };
  CHECK(!changed([](File&) {}));
  CHECK(changed([](File& file) { file.format = "2"; }) && std::strstr(spinpot_error(), "newer"));
  for (const char* format : {"\"1\"", "null", "1e999", "-", "01", "+1", "1.", "[1"}) CHECK(replaced("\"format\":1", std::string("\"format\":") + format));
  for (const char* name : {"rcut\":", "axis\":", "chunk\":", "scale\":", "beyond\":", "rounding\":", "protection\":"})
    for (const char* value : {"-1,\"x\":", "1e300,\"x\":", "\"a\",\"x\":", "null,\"x\":", "1e19,\"x\":", "{},\"x\":"})
      CHECK(replaced(name, std::string(name) + value));
  for (const char* value : {"0.001", "NaN", "Infinity", "0x4"}) CHECK(replaced("rcut\":4.000000", std::string("rcut\":") + value));
  CHECK(replaced("[1.5,1.5]", "[1.5]") && replaced("[1.5,1.5]", "[1.5,9.0]") && replaced("[1.5,1.5]", "[1.5,\"\"]"));
  CHECK(replaced("tanh", "no such function") && replaced("[\"E0\"", "[7") && replaced("\"E1\"]", "\"E1\",\"E2\"]"));
  CHECK(replaced("\"deepspin\"", "\"other\"") && std::strstr(spinpot_error(), "other"));
  CHECK(replaced("[{\"kind", "[7,{\"kind") && replaced("true,false]", "1,false]") && replaced("false", "0"));
  CHECK(replaced("\"energy_bias\":\"energy_bias\"", "\"energy_bias\":\"davg\""));
  const std::string twice = "{\"kind\":\"native_spin\",\"settings\":{},\"arrays\":{}},{\"kind";
  CHECK(replaced("{\"kind", twice));
  for (const char* level : {"[", "{\"a\":"}) {
    std::string deep;
    for (int n = 0; n < 100000; ++n) deep += level;
    CHECK(refused(disk, deepspin().bytes(deep)) && refused(disk, File::with_length(deep)));
  }
  std::string many = "[0";
  for (int n = 0; n < 1100000; ++n) many += ",0";
  CHECK(refused(disk, deepspin().bytes(many + "]")));
  for (const File& file : {deepspin(), with_exchange(native_spin()), with_errors(native_spin())})
    for (const File::Array& own : file.arrays) {
      const auto set = [&](const std::function<void(File::Array&)>& change) {
        return changed([&](File& other) { change(other.array(own.name)); }, file);
      };
      CHECK(set([](File::Array& array) { array.name = "other"; }));
      CHECK(set([](File::Array& array) { array.kind = "F32"; }));
      CHECK(set([](File::Array& array) { array.kind = array.kind == "F64" ? "I64" : "F64", array.bytes.resize(8 * product(array.shape)); }));
      CHECK(set([](File::Array& array) { array.shape.push_back(2), array.bytes += array.bytes; }));
      CHECK(set([](File::Array& array) { array.shape[0] = -1; }));
      CHECK(set([](File::Array& array) { array.shape = {int64_t(1) << 31, int64_t(1) << 31, 4}; }));
      CHECK(set([](File::Array& array) { array.shape = {0}, array.bytes.clear(); }));
      if (own.kind == "F64") CHECK(set([](File::Array& array) { array.bytes.replace(array.bytes.size() - 8, 8, std::string(8, '\xff')); }));
    }
  for (int64_t value : {int64_t(-5), int64_t(0), int64_t(1) << 40})
    CHECK(changed([&](File& file) { file.array("numbers").bytes.replace(0, 8, reinterpret_cast<const char*>(&value), 8); }));
  for (const char* name : {"exchange.magnetic", "exchange.elements"})
    for (int64_t value : {int64_t(-5), int64_t(9), int64_t(1) << 62})
      CHECK(changed([&](File& file) { file.array(name).bytes.replace(0, 8, reinterpret_cast<const char*>(&value), 8); },
                    with_exchange(deepspin())));
  for (double value : {0.0, -1.0})
    CHECK(changed([&](File& file) { file.array("usual").bytes.replace(0, 8, reinterpret_cast<const char*>(&value), 8); },
                  with_errors(native_spin())));
  CHECK(replaced("cutoff\":4", "cutoff\":5", with_exchange(deepspin())));
  for (const char* name : {"factors", "sum", "features", "channels"})
    for (int64_t value : {int64_t(-5), int64_t(1) << 40, int64_t(1) << 62})
      CHECK(changed([&](File& file) { file.array(name).bytes.replace(0, 8, reinterpret_cast<const char*>(&value), 8); },
                    native_spin()));
  for (const char* value : {"radial\":0", "radial\":9", "places\":1", "places\":99999", "cutoff\":0", "width\":0"}) {
    const std::string name = std::string(value).substr(0, std::string(value).find(':'));
    CHECK(replaced("\"" + name + ":", "\"" + std::string(value) + ",\"x\":", native_spin()));
  }
}

void arrays_in_wrong_places_are_refused() {
  const OnDisk disk;
  const std::string usual = deepspin().bytes();
  for (const char* offsets : {"[0,8]", "[8,24]", "[-8,8]", "[16,0]", "[0,1e18]", "[0.5,16.5]", "[0]", "[0,16,16]", "{}"}) {
    std::string bytes = usual.substr(8);
    const std::string was = "\"data_offsets\":[0,16]";
    const size_t place = bytes.find(was), data = bytes.size() - deepspin().data().size();
    const std::string header = bytes.substr(0, data);
    std::string changed = header;
    changed.replace(place, was.size(), std::string("\"data_offsets\":") + offsets);
    CHECK(refused(disk, File::with_length(changed) + bytes.substr(data)));
    CHECK(!refused(disk, File::with_length(header) + bytes.substr(data)));
  }
}

// Whatever is read must be evaluated, or refused, without harm.
void use(const OnDisk& disk, const std::string& bytes) {
  spinpot_model* model = read(disk, bytes);
  if (!model) return;
  Cluster cluster(6, 4, 2);
  cluster.evaluate(model);
  spinpot_model_facts facts;
  CHECK(spinpot_model_facts_of(model, &facts) == 0);
  if (facts.row_size) cluster.expect_errors(model);
  spinpot_model_free(model);
}

void bytes_that_are_flipped_or_cut() {
  const OnDisk disk;
  for (const File& file : {deepspin({2, {1, 2, 4}, {8, 3}, 2}), with_exchange(with_errors(native_spin(2, 2, {1, 0, 0, 1}, {3})))}) {
    const std::string text = file.text(), whole = file.bytes();
    const auto place = [](size_t size) { return std::uniform_int_distribution<size_t>(0, size - 1)(any); };
    for (int n = 0; n < 1000; ++n) {
      std::string bytes = whole;
      for (int k = 0; k <= n % 3; ++k) bytes[place(bytes.size())] ^= static_cast<char>(1 << place(8));
      if (n % 5 == 0) bytes.erase(place(bytes.size()), 1 + place(9));
      use(disk, bytes);
      std::string other = text;  // with a checksum that is right
      other[place(other.size())] = "0123456789[]{}\",:-e.\\\x01"[place(22)];
      if (n % 5 == 0) other.erase(place(other.size()), 1 + place(9));
      use(disk, file.bytes(other));
      File changed = file;
      auto& array = changed.arrays[place(changed.arrays.size())];
      if (array.bytes.empty()) continue;
      array.bytes[place(array.bytes.size())] = static_cast<char>(place(256));
      if (n % 7 == 0) array.shape[place(array.shape.size())] = place(9);
      use(disk, changed.bytes());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_checks(argc, argv,
                    {NAMED(clusters_of_any_size), NAMED(models_of_any_size), NAMED(many_atoms), NAMED(close_neighbours),
                     NAMED(numbers_that_are_none), NAMED(errors_of_any_size), NAMED(wrong_rows_are_refused),
                     NAMED(wrong_clusters_are_refused), NAMED(what_is_no_model_file_is_refused),
                     NAMED(hostile_files_are_refused),
                     NAMED(arrays_in_wrong_places_are_refused), NAMED(bytes_that_are_flipped_or_cut)});
}
