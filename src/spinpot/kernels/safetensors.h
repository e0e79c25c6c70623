// Reads files of named arrays (huggingface/safetensors). Everything is checked, since files are untrusted.

#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "json.h"

namespace spinpot {

// An array in the file. kind: such as F64. begin, end: range of its bytes after the header.
struct Tensor {
  std::string kind;
  std::vector<int64_t> shape;
  int64_t begin, end;
};

class Safetensors {
 public:
  // Reads the header. Errors are thrown with a message and the file's path.
  explicit Safetensors(const std::string& path);

  // A text of the metadata, and an array; null if there is none.
  const std::string* metadata(const std::string& name) const;
  const Tensor* find(const std::string& name) const;
  // The numbers of an array. T must be the type in the file: double (all numbers finite), int64_t or uint8_t. The shapes
  // must agree except for extents of 1.
  template <typename T>
  std::vector<T> array(const std::string& name, const std::vector<int64_t>& shape) const;

  // zlib's CRC-32 of a text followed by all arrays.
  uint32_t checksum(const std::string& text) const;

  // Throw an error with the path and the reason; `damaged` also says that the file is damaged.
  [[noreturn]] void refuse(const std::string& why) const;
  [[noreturn]] void damaged(const std::string& detail) const;

 private:
  void read(int64_t begin, int64_t bytes, char* to) const;
  int64_t size_of_file();
  void read_header(const std::string& text);
  Tensor tensor(const std::string& name, const Json& entry) const;
  int64_t natural(const Json& number, const std::string& name) const;
  void check_places() const;

  std::string path_;
  mutable std::ifstream stream_;
  int64_t data_ = 0, size_ = 0;  // position of the first array, and number of bytes of all arrays
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace spinpot
