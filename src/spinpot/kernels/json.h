// Reads JSON texts from untrusted files. Depth, numbers and sizes are limited.

#pragma once

#include <cstdint>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace spinpot {

// The text is not JSON, or holds more values than any model does.
struct NotJson : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Json {
 public:
  using List = std::vector<Json>;
  using Entries = std::vector<std::pair<std::string, Json>>;

  Json() = default;
  template <typename T>
  explicit Json(T value) : value_(std::move(value)) {}

  // The value if it has this type, else null.
  const bool* truth() const { return std::get_if<bool>(&value_); }
  const double* number() const { return std::get_if<double>(&value_); }
  const std::string* text() const { return std::get_if<std::string>(&value_); }
  const List* list() const { return std::get_if<List>(&value_); }
  const Entries* entries() const { return std::get_if<Entries>(&value_); }

  // The entry of an object; null if there is none.
  const Json* find(const std::string& name) const {
    if (const Entries* own = entries())
      for (const auto& [key, value] : *own)
        if (key == name) return &value;
    return nullptr;
  }

 private:
  std::variant<std::monostate, bool, double, std::string, List, Entries> value_;
};

class JsonReader {
 public:
  // Throws NotJson.
  static Json read(const std::string& text) {
    JsonReader reader(text);
    Json value = reader.value(0);
    reader.space();
    reader.require(reader.at_ == text.size(), "a text that ends with its value");
    return value;
  }

 private:
  static constexpr int64_t DEEPEST = 64, MOST = int64_t(1) << 20;  // levels, and values altogether

  explicit JsonReader(const std::string& text) : text_(text) {}

  void require(bool fits, const char* expected) const {
    if (!fits) throw NotJson(std::string("expected ") + expected + " at byte " + std::to_string(at_));
  }
  // The next character; 0 at the end.
  char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char wanted) {
    if (next() != wanted || at_ == text_.size()) return false;
    ++at_;
    return true;
  }
  bool take(const char* word) {
    const std::string wanted(word);
    if (text_.compare(at_, wanted.size(), wanted) != 0) return false;
    at_ += wanted.size();
    return true;
  }
  void space() {
    while (next() == ' ' || next() == '\t' || next() == '\n' || next() == '\r') ++at_;
  }

  Json value(int64_t depth) {
    require(depth < DEEPEST, "fewer levels");
    require(++count_ <= MOST, "fewer values");
    space();
    if (next() == '{') return object(depth);
    if (next() == '[') return list(depth);
    if (next() == '"') return Json(string());
    if (take("true")) return Json(true);
    if (take("false")) return Json(false);
    if (take("null")) return Json();
    return Json(number());
  }

  Json object(int64_t depth) {
    Json::Entries entries;
    take('{');
    space();
    if (take('}')) return Json(std::move(entries));
    do {
      space();
      std::string key = string();
      space();
      require(take(':'), "a colon");
      entries.emplace_back(std::move(key), value(depth + 1));
      space();
    } while (take(','));
    require(take('}'), "a comma or a closing brace");
    return Json(std::move(entries));
  }

  Json list(int64_t depth) {
    Json::List values;
    take('[');
    space();
    if (take(']')) return Json(std::move(values));
    do {
      values.push_back(value(depth + 1));
      space();
    } while (take(','));
    require(take(']'), "a comma or a closing bracket");
    return Json(std::move(values));
  }

  std::string string() {
    require(take('"'), "a text");
    std::string made;
    while (!take('"')) {
      require(at_ < text_.size() && static_cast<unsigned char>(next()) >= 0x20, "the end of a text");
      if (take('\\'))
        escaped(made);
      else
        made += text_[at_++];
    }
    return made;
  }

  void escaped(std::string& made) {
    static const std::string names = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    if (take('u')) return add_utf8(code_point(), made);
    const size_t which = at_ < text_.size() ? names.find(next()) : std::string::npos;
    require(which != std::string::npos, "a known escape");
    ++at_;
    made += meant[which];
  }

  uint32_t code_point() {
    const uint32_t high = four_digits();
    if (high < 0xD800 || high > 0xDFFF) return high;
    require(high < 0xDC00 && take("\\u"), "the second half of a character");
    const uint32_t low = four_digits();
    require(0xDC00 <= low && low <= 0xDFFF, "the second half of a character");
    return 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
  }

  uint32_t four_digits() {
    static const std::string digits = "0123456789abcdefABCDEF";
    uint32_t made = 0;
    for (int n = 0; n < 4; ++n, ++at_) {
      const size_t digit = at_ < text_.size() ? digits.find(next()) : std::string::npos;
      require(digit != std::string::npos, "four hexadecimal digits");
      made = 16 * made + static_cast<uint32_t>(digit < 16 ? digit : digit - 6);
    }
    return made;
  }

  static void add_utf8(uint32_t code, std::string& made) {
    if (code < 0x80) {
      made += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    made += static_cast<char>((0xF00u >> more & 0xF0u) | code >> (6 * more));
    for (int n = more; n-- > 0;) made += static_cast<char>(0x80u | (code >> (6 * n) & 0x3Fu));
  }

  bool digits() {
    const size_t before = at_;
    while ('0' <= next() && next() <= '9') ++at_;
    return at_ > before;
  }

  double number() {
    const size_t first = at_;
    take('-');
    require(take('0') || digits(), "a value");
    if (take('.')) require(digits(), "digits");
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      require(digits(), "digits");
    }
    // In the classic locale a point is the decimal separator, whatever the program's locale.
    std::istringstream given(text_.substr(first, at_ - first));
    given.imbue(std::locale::classic());
    double made = 0.0;
    require(static_cast<bool>(given >> made), "a number of usual size");
    return made;
  }

  const std::string& text_;
  size_t at_ = 0;
  int64_t count_ = 0;
};

}  // namespace spinpot
