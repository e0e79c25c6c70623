// A part of a model file: its settings and arrays by name, checked as they are read.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace spinpot {

class Json;
class Safetensors;

// What a file holds for one kind of part. Whatever does not fit is refused in words, with the file's path.
class FilePart {
 public:
  // Both are kept by the caller. magnetic: of each element.
  FilePart(const Safetensors& file, const Json& part, const std::vector<uint8_t>& magnetic);

  const std::string& kind() const { return kind_; }
  int64_t types() const { return magnetic_.size(); }
  const std::vector<uint8_t>& magnetic() const { return magnetic_; }

  // Settings; the limits are included.
  double number(const char* name, double least, double most) const;
  int64_t integer(const char* name, int64_t least, int64_t most) const;
  std::string text(const char* name) const;
  std::vector<double> numbers(const char* name) const;
  std::vector<std::string> texts(const char* name) const;

  // Arrays. T: double (finite), int64_t or uint8_t, as in the file.
  bool has(const std::string& field) const;
  std::vector<int64_t> shape(const std::string& field) const;
  template <typename T>
  std::vector<T> array(const std::string& field, const std::vector<int64_t>& shape) const;

  [[noreturn]] void refuse(const std::string& why) const;
  void require(bool fits, const std::string& why) const {
    if (!fits) refuse(why);
  }

 private:
  const Json& setting(const char* name) const;
  const std::string& tensor(const std::string& field) const;

  const Safetensors& file_;
  const Json& part_;
  const std::vector<uint8_t>& magnetic_;
  std::string kind_;
};

}  // namespace spinpot
