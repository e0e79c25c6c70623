#include "model_part.h"

#include <cmath>

namespace spinpot {

FilePart::FilePart(const Safetensors& file, const Json& part, const std::vector<uint8_t>& magnetic)
    : file_(file), part_(part), magnetic_(magnetic) {
  const Json* kind = part.find("kind");
  if (!kind || !kind->text()) file.damaged("a part without a kind");
  kind_ = *kind->text();
}

void FilePart::refuse(const std::string& why) const { file_.damaged(kind_ + ": " + why); }

const Json& FilePart::setting(const char* name) const {
  const Json* all = part_.find("settings");
  const Json* found = all ? all->find(name) : nullptr;
  require(found, std::string("it has no setting ") + name);
  return *found;
}

double FilePart::number(const char* name, double least, double most) const {
  const double* found = setting(name).number();
  require(found && least <= *found && *found <= most, std::string(name) + " is out of range");
  return *found;
}

int64_t FilePart::integer(const char* name, int64_t least, int64_t most) const {
  const double found = number(name, double(least), double(most));
  require(found == std::floor(found), std::string(name) + " is no whole number");
  return static_cast<int64_t>(found);
}

bool FilePart::truth(const char* name) const {
  const bool* found = setting(name).truth();
  require(found, std::string(name) + " is neither true nor false");
  return *found;
}

std::string FilePart::text(const char* name) const {
  const std::string* found = setting(name).text();
  require(found, std::string(name) + " is no text");
  return *found;
}

std::vector<double> FilePart::numbers(const char* name) const {
  const Json::List* found = setting(name).list();
  require(found, std::string(name) + " is no list");
  std::vector<double> made;
  for (const Json& value : *found) {
    require(value.number(), std::string(name) + " is no list of numbers");
    made.push_back(*value.number());
  }
  return made;
}

std::vector<std::string> FilePart::texts(const char* name) const {
  const Json::List* found = setting(name).list();
  require(found, std::string(name) + " is no list");
  std::vector<std::string> made;
  for (const Json& value : *found) {
    require(value.text(), std::string(name) + " is no list of texts");
    made.push_back(*value.text());
  }
  return made;
}

bool FilePart::has(const std::string& field) const {
  const Json* arrays = part_.find("arrays");
  return arrays && arrays->find(field);
}

const std::string& FilePart::place(const std::string& field) const {
  require(has(field), "it has no array " + field);
  const std::string* name = part_.find("arrays")->find(field)->text();
  require(name, "its array " + field + " has no name");
  return *name;
}

const std::vector<int64_t>& FilePart::shape(const std::string& field) const {
  const Tensor* found = file_.find(place(field));
  require(found, "its array " + field + " is missing");
  return found->shape;
}

int64_t FilePart::length(const std::string& field) const {
  require(shape(field).size() == 1, field + " is no row of numbers");
  return shape(field)[0];
}

FileNets::FileNets(const FilePart& part, const std::string& name, int64_t count) {
  const auto field = [&](size_t place) { return name + "." + std::to_string(place); };
  for (size_t place = 0; part.has(field(place)); place += 3) {
    const std::vector<int64_t>& shape = part.shape(field(place));
    part.require(shape.size() == 3 && shape[1] > 0 && shape[2] > 0, field(place) + " is no weights of nets");
    part.require(place == 0 || shape[1] == widths_.back(), field(place) + " does not fit to the layer before it");
    widths_.back() = shape[1];
    widths_.push_back(shape[2]);
    arrays_.push_back(part.array<double>(field(place), {count, shape[1], shape[2]}));
    arrays_.push_back(part.array<double>(field(place + 1), {count, shape[2]}));
    arrays_.emplace_back();
    if (part.has(field(place + 2))) arrays_.back() = part.array<double>(field(place + 2), {count, shape[2]});
  }
  for (const auto& array : arrays_) pointers_.push_back(array.empty() ? nullptr : array.data());
}

}  // namespace spinpot
