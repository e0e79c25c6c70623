// Reads files of named arrays (huggingface/safetensors); everything is checked, since files are untrusted.

#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "json.h"

namespace spinpot {

// An array in the file: its kind, as F64, its shape, and where its bytes lie behind the header.
struct Tensor {
  std::string kind;
  std::vector<int64_t> shape;
  int64_t begin, end;
};

class Safetensors {
 public:
  // Reads the header. Errors are thrown with a message and the file's path.
  explicit Safetensors(const std::string& path);

  // A text of the metadata, and an array; null where there is none.
  const std::string* metadata(const std::string& name) const;
  const Tensor* find(const std::string& name) const;
  // Its numbers: T is double (finite), int64_t or uint8_t, as in the file. Extents of 1 need not be the same.
  template <typename T>
  std::vector<T> array(const std::string& name, const std::vector<int64_t>& shape) const;

  // As zlib's CRC-32 of a text and all arrays behind it.
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
  int64_t data_ = 0, size_ = 0;  // where the arrays begin, and how many bytes they have
  std::map<std::string, std::string> metadata_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace spinpot
