// Models read from damaged and hostile files.

#include "model_files.h"

namespace {

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
  for (const std::string& bytes : {std::string(), std::string("pickle"), std::string(99, '\0'), std::string(99, '\xff'),
                                   whole + "x", whole.substr(0, whole.size() - 1)})
    CHECK(refused(disk, bytes));
  for (const char* header : {"{}", "[]", "{\"a\":1}", "{\"__metadata__\":{}}", "{\"__metadata__\":[]}"})
    CHECK(refused(disk, File::with_length(header)));
  for (size_t size = 0; size < whole.size(); size += 1 + size / 50) CHECK(refused(disk, whole.substr(0, size)));
}

// Whether a changed file is refused, and one with a changed text; both have the right checksum.
bool changed(const std::function<void(File&)>& change, File file = deepspin()) {
  const OnDisk disk;
  change(file);
  return refused(disk, file.bytes());
}

bool replaced(const std::string& was, const std::string& is, const File& file = deepspin()) {
  const OnDisk disk;
  std::string text = file.text();
  const size_t place = text.find(was);
  CHECK(place != std::string::npos);
  return refused(disk, file.bytes(text.replace(place, was.size(), is)));
}

// With another first number in an array.
template <typename T>
bool with_first(const char* array, T value, const File& file) {
  const std::string bytes(reinterpret_cast<const char*>(&value), sizeof value);
  return changed([&](File& own) { own.array(array).bytes.replace(0, sizeof value, bytes); }, file);
}

void texts_that_no_model_has_are_refused() {
  CHECK(!changed([](File&) {}));
  CHECK(changed([](File& file) { file.format = "2"; }) && std::strstr(spinpot_error(), "newer"));
  for (const char* format : {"\"1\"", "null", "1e999", "-", "01", "+1", "1.", "[1"})
    CHECK(replaced("\"format\":1", std::string("\"format\":") + format));
  for (const char* name : {"rcut\":", "axis\":", "chunk\":", "scale\":", "beyond\":", "rounding\":", "protection\":"})
    for (const char* value : {"-1,\"x\":", "1e300,\"x\":", "\"a\",\"x\":", "null,\"x\":", "1e19,\"x\":", "{},\"x\":"})
      CHECK(replaced(name, std::string(name) + value));
  for (const char* value : {"0.001", "NaN", "Infinity", "0x4"})
    CHECK(replaced("rcut\":4.000000", std::string("rcut\":") + value));
  CHECK(replaced("[1.5,1.5]", "[1.5]") && replaced("[1.5,1.5]", "[1.5,9.0]") && replaced("[1.5,1.5]", "[1.5,\"\"]"));
  CHECK(replaced("tanh", "no such function") && replaced("[\"E0\"", "[7") && replaced("\"E1\"]", "\"E1\",\"E2\"]"));
  CHECK(replaced("\"deepspin\"", "\"other\"") && std::strstr(spinpot_error(), "other"));
  CHECK(replaced("[{\"kind", "[7,{\"kind") && replaced("true,false]", "1,false]") && replaced("false", "0"));
  CHECK(replaced("\"energy_bias\":\"energy_bias\"", "\"energy_bias\":\"davg\""));
  CHECK(replaced("{\"kind", "{\"kind\":\"native_spin\",\"settings\":{},\"arrays\":{}},{\"kind"));
  CHECK(replaced("cutoff\":4", "cutoff\":5", with_exchange(deepspin())));
  for (const char* value : {"radial\":0", "radial\":9", "places\":1", "places\":99999", "cutoff\":0", "width\":0"}) {
    const std::string name = std::string(value).substr(0, std::string(value).find(':'));
    CHECK(replaced("\"" + name + ":", "\"" + std::string(value) + ",\"x\":", native_spin()));
  }
}

void texts_without_end_are_refused() {
  const OnDisk disk;
  for (const char* level : {"[", "{\"a\":"}) {
    std::string deep;
    for (int n = 0; n < 100000; ++n) deep += level;
    CHECK(refused(disk, deepspin().bytes(deep)) && refused(disk, File::with_length(deep)));
  }
  std::string many = "[0";
  for (int n = 0; n < 1100000; ++n) many += ",0";
  CHECK(refused(disk, deepspin().bytes(many + "]")));
}

void arrays_of_wrong_kinds_and_shapes_are_refused() {
  using Array = File::Array;
  for (const File& file : {deepspin(), with_exchange(native_spin()), with_errors(native_spin())})
    for (const Array& own : file.arrays) {
      const auto set = [&](const std::function<void(Array&)>& change) {
        return changed([&](File& other) { change(other.array(own.name)); }, file);
      };
      CHECK(set([](Array& array) { array.name = "other"; }));
      CHECK(set([](Array& array) { array.kind = "F32"; }));
      CHECK(set([](Array& array) {
        array.kind = array.kind == "F64" ? "I64" : "F64";
        array.bytes.resize(8 * product(array.shape));
      }));
      CHECK(set([](Array& array) { array.shape.push_back(2), array.bytes += array.bytes; }));
      CHECK(set([](Array& array) { array.shape[0] = -1; }));
      CHECK(set([](Array& array) { array.shape = {int64_t(1) << 31, int64_t(1) << 31, 4}; }));
      CHECK(set([](Array& array) { array.shape = {0}, array.bytes.clear(); }));
      if (own.kind != "F64") continue;
      CHECK(set([](Array& array) { array.bytes.replace(array.bytes.size() - 8, 8, std::string(8, '\xff')); }));
    }
}

void numbers_that_no_model_has_are_refused() {
  for (int64_t value : {int64_t(-5), int64_t(0), int64_t(1) << 40}) CHECK(with_first("numbers", value, deepspin()));
  for (const char* name : {"exchange.magnetic", "exchange.elements"})
    for (int64_t value : {int64_t(-5), int64_t(9), int64_t(1) << 62})
      CHECK(with_first(name, value, with_exchange(deepspin())));
  for (double value : {0.0, -1.0}) CHECK(with_first("usual", value, with_errors(native_spin())));
  for (const char* name : {"factors", "sum", "features", "channels"})
    for (int64_t value : {int64_t(-5), int64_t(1) << 40, int64_t(1) << 62})
      CHECK(with_first(name, value, native_spin()));
}

void arrays_in_wrong_places_are_refused() {
  const OnDisk disk;
  const std::string usual = deepspin().bytes();
  for (const char* offsets :
       {"[0,8]", "[8,24]", "[-8,8]", "[16,0]", "[0,1e18]", "[0.5,16.5]", "[0]", "[0,16,16]", "{}"}) {
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
  const File native = with_exchange(with_errors(native_spin(2, 2, {1, 0, 0, 1}, {3})));
  for (const File& file : {deepspin({2, {1, 2, 4}, {8, 3}, 2}), native}) {
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
                    {NAMED(what_is_no_model_file_is_refused), NAMED(texts_that_no_model_has_are_refused),
                     NAMED(texts_without_end_are_refused), NAMED(arrays_of_wrong_kinds_and_shapes_are_refused),
                     NAMED(numbers_that_no_model_has_are_refused), NAMED(arrays_in_wrong_places_are_refused),
                     NAMED(bytes_that_are_flipped_or_cut)});
}
