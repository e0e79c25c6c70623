// A part of a model file: its settings and arrays, which are read by name and checked.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "safetensors.h"

namespace spinpot {

// The entries of a file for one part. Errors are reported with the file's path.
class FilePart {
 public:
  // The caller keeps all arguments. magnetic: for each element.
  FilePart(const Safetensors& file, const Json& part, const std::vector<uint8_t>& magnetic);

  const std::string& kind() const { return kind_; }
  int64_t types() const { return magnetic_.size(); }
  const std::vector<uint8_t>& magnetic() const { return magnetic_; }

  // Settings by name. Numbers must be from `least` to `most`, limits included.
  double number(const char* name, double least, double most) const;
  int64_t integer(const char* name, int64_t least, int64_t most) const;
  bool truth(const char* name) const;
  std::string text(const char* name) const;
  std::vector<double> numbers(const char* name) const;
  std::vector<std::string> texts(const char* name) const;

  // Arrays by name.
  bool has(const std::string& field) const;
  const std::vector<int64_t>& shape(const std::string& field) const;
  int64_t length(const std::string& field) const;  // the length of a one-dimensional array
  template <typename T>
  std::vector<T> array(const std::string& field, const std::vector<int64_t>& shape) const {
    return file_.array<T>(place(field), shape);
  }

  [[noreturn]] void refuse(const std::string& why) const;
  void require(bool fits, const std::string& why) const {
    if (!fits) refuse(why);
  }

 private:
  const Json& setting(const char* name) const;
  // The name that the file gives to an array of this part.
  const std::string& place(const std::string& field) const;

  const Safetensors& file_;
  const Json& part_;
  const std::vector<uint8_t>& magnetic_;
  std::string kind_;
};

// Nets of a file: three arrays W, b and idt for each layer, in the layout of the kernels' structs.
class FileNets {
 public:
  // Reads the arrays NAME.0, NAME.1, … of `count` nets. There may be no layer.
  FileNets(const FilePart& part, const std::string& name, int64_t count);

  int64_t layers() const { return widths_.size() - 1; }
  // The widths of the input and of each layer; {0} without layers.
  const std::vector<int64_t>& widths() const { return widths_; }
  const void* const* pointers() const { return pointers_.data(); }

 private:
  std::vector<int64_t> widths_ = {0};
  std::vector<std::vector<double>> arrays_;
  std::vector<const void*> pointers_;
};

}  // namespace spinpot
