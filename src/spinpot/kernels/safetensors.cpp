#include "safetensors.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace spinpot {

namespace {

constexpr int64_t LENGTH = 8;                            // bytes of the number that is the header's length
constexpr int64_t LONGEST = int64_t(1) << 25;            // limit of the header's length
constexpr int64_t LARGEST = int64_t(1) << 53;            // up to here, doubles represent whole numbers exactly

const std::map<std::string, int64_t> BYTES_OF_KIND = {
    {"F64", 8}, {"I64", 8}, {"U64", 8}, {"F32", 4}, {"I32", 4}, {"U32", 4}, {"F16", 2}, {"BF16", 2},
    {"I16", 2}, {"U16", 2}, {"I8", 1},  {"U8", 1},  {"BOOL", 1}};

template <typename T>
constexpr const char* kind_of() {
  return std::is_same_v<T, double> ? "F64" : std::is_same_v<T, int64_t> ? "I64" : "U8";
}

// The shape without extents of 1, which do not change the order of the numbers.
std::vector<int64_t> squeezed(std::vector<int64_t> shape) {
  shape.erase(std::remove(shape.begin(), shape.end(), 1), shape.end());
  return shape;
}

std::string words(const std::vector<int64_t>& shape) {
  std::string made;
  for (int64_t extent : shape) made += (made.empty() ? "" : " × ") + std::to_string(extent);
  return made.empty() ? "one number" : made;
}

// CRC-32 with the polynomial of zlib.
class Checksum {
 public:
  Checksum() {
    for (uint32_t n = 0; n < 256; ++n) {
      table_[n] = n;
      for (int bit = 0; bit < 8; ++bit) table_[n] = table_[n] >> 1 ^ (table_[n] & 1 ? 0xEDB88320u : 0u);
    }
  }
  void add(const char* bytes, int64_t count) {
    for (int64_t n = 0; n < count; ++n) state_ = state_ >> 8 ^ table_[(state_ ^ static_cast<unsigned char>(bytes[n])) & 0xFF];
  }
  uint32_t value() const { return ~state_; }

 private:
  uint32_t table_[256], state_ = ~uint32_t(0);
};

}  // namespace

Safetensors::Safetensors(const std::string& path) : path_(path) {
  const int64_t size = size_of_file();
  unsigned char length[LENGTH];
  if (size < LENGTH || !stream_.read(reinterpret_cast<char*>(length), LENGTH)) damaged("it is too short");
  if (length[0] == 'P' && length[1] == 'K')
    refuse("this is a checkpoint, or another archive. `spinpot convert` makes a model file of a checkpoint.");
  uint64_t header = 0;
  for (int64_t n = LENGTH; n-- > 0;) header = header << 8 | length[n];
  if (header > static_cast<uint64_t>(std::min(size - LENGTH, LONGEST))) damaged("its header is longer than the file");
  std::string text(header, '\0');
  if (!stream_.read(text.data(), header)) damaged("its header is cut off");
  data_ = LENGTH + header;
  size_ = size - data_;
  read_header(text);
}

const std::string* Safetensors::metadata(const std::string& name) const {
  const auto found = metadata_.find(name);
  return found == metadata_.end() ? nullptr : &found->second;
}

const Tensor* Safetensors::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void Safetensors::read(int64_t begin, int64_t bytes, char* to) const {
  stream_.clear();
  stream_.seekg(data_ + begin);
  if (!stream_.read(to, bytes)) damaged("an array is cut off");
}

template <typename T>
std::vector<T> Safetensors::array(const std::string& name, const std::vector<int64_t>& shape) const {
  const Tensor* found = find(name);
  if (!found) damaged(name + " is missing");
  if (found->kind != kind_of<T>()) damaged(name + " holds " + found->kind + ", not " + kind_of<T>());
  if (squeezed(found->shape) != squeezed(shape))
    damaged(name + " has the shape " + words(found->shape) + ", not " + words(shape));
  std::vector<T> made((found->end - found->begin) / sizeof(T));
  read(found->begin, found->end - found->begin, reinterpret_cast<char*>(made.data()));
  if constexpr (std::is_same_v<T, double>)
    if (!std::all_of(made.begin(), made.end(), [](double x) { return std::isfinite(x); }))
      damaged(name + " has numbers that are not finite");
  return made;
}

template std::vector<double> Safetensors::array(const std::string&, const std::vector<int64_t>&) const;
template std::vector<int64_t> Safetensors::array(const std::string&, const std::vector<int64_t>&) const;
template std::vector<uint8_t> Safetensors::array(const std::string&, const std::vector<int64_t>&) const;

uint32_t Safetensors::checksum(const std::string& text) const {
  Checksum made;
  made.add(text.data(), text.size());
  std::vector<char> some(std::min<int64_t>(size_, 1 << 16));
  for (int64_t at = 0; at < size_; at += some.size()) {
    const int64_t count = std::min<int64_t>(some.size(), size_ - at);
    read(at, count, some.data());
    made.add(some.data(), count);
  }
  return made.value();
}

void Safetensors::refuse(const std::string& why) const { throw std::runtime_error(path_ + ": " + why); }

void Safetensors::damaged(const std::string& detail) const {
  refuse("this is no model file, or a damaged one (" + detail + "). `spinpot convert` writes model files.");
}

// Opens the file and returns its size.
int64_t Safetensors::size_of_file() {
  struct stat found;
  if (stat(path_.c_str(), &found) != 0) refuse(std::string("cannot be read: ") + std::strerror(errno) + ".");
  if (!S_ISREG(found.st_mode)) refuse("is no file.");
  stream_.open(path_, std::ios::binary);
  if (!stream_) refuse(std::string("cannot be read: ") + std::strerror(errno) + ".");
  return found.st_size;
}

void Safetensors::read_header(const std::string& text) {
  Json header;
  try {
    header = JsonReader::read(text);
  } catch (const NotJson& error) {
    damaged(std::string("header: ") + error.what());
  }
  if (!header.entries()) damaged("its header is no object");
  for (const auto& [name, entry] : *header.entries()) {
    if (name != "__metadata__") {
      if (!tensors_.emplace(name, tensor(name, entry)).second) damaged(name + " is there twice");
      continue;
    }
    if (!entry.entries()) damaged("its metadata are no object");
    for (const auto& [key, value] : *entry.entries())
      if (!value.text() || !metadata_.emplace(key, *value.text()).second) damaged("its metadata are no texts");
  }
  check_places();
}

Tensor Safetensors::tensor(const std::string& name, const Json& entry) const {
  const Json *kind = entry.find("dtype"), *shape = entry.find("shape"), *places = entry.find("data_offsets");
  const bool known = kind && kind->text() && BYTES_OF_KIND.count(*kind->text());
  if (!known || !shape || !shape->list() || !places || !places->list() || places->list()->size() != 2)
    damaged(name + " is no array");
  Tensor made{*kind->text(), {}, natural((*places->list())[0], name), natural((*places->list())[1], name)};
  if (made.begin > made.end || made.end > size_) damaged(name + " lies beyond the end");
  int64_t bytes = BYTES_OF_KIND.at(made.kind);
  bool none = false;
  for (const Json& extent : *shape->list()) {
    made.shape.push_back(natural(extent, name));
    none |= made.shape.back() == 0;
    if (!none && bytes > size_ / made.shape.back()) damaged(name + " lies beyond the end");
    bytes *= none ? 1 : made.shape.back();
  }
  if ((none ? 0 : bytes) != made.end - made.begin) damaged("the bytes of " + name + " are not those of its shape");
  return made;
}

int64_t Safetensors::natural(const Json& number, const std::string& name) const {
  const double* value = number.number();
  if (!value || !(*value >= 0.0 && *value < double(LARGEST)) || *value != std::floor(*value))
    damaged(name + " has no sizes");
  return static_cast<int64_t>(*value);
}

// Checks that the arrays follow each other and fill the file.
void Safetensors::check_places() const {
  std::vector<std::pair<int64_t, int64_t>> places;
  for (const auto& item : tensors_) places.emplace_back(item.second.begin, item.second.end);
  std::sort(places.begin(), places.end());
  int64_t at = 0;
  for (const auto& [begin, end] : places) {
    if (begin != at) damaged("its arrays do not follow each other");
    at = end;
  }
  if (at != size_) damaged("its arrays do not fill it");
}

}  // namespace spinpot
