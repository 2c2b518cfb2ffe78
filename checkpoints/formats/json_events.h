#pragma once
/// JSON read event by event, for formats that need little of it. Private to checkpoints/.

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "core/error.h"

namespace softmoe {

/// Refuses every value; formats override those that they take. Building a whole tree instead would
/// let a small file take much memory.
class JsonEvents : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit JsonEvents(const std::filesystem::path& path) : path_(path) {}

  bool null() override { return refuse("null"); }
  bool boolean(bool /*value*/) override { return refuse("a truth value"); }
  bool number_integer(int64_t value) override { return refuse(std::to_string(value)); }
  bool number_unsigned(uint64_t value) override { return refuse(std::to_string(value)); }
  bool number_float(double /*value*/, const std::string& text) override {
    return refuse(printable_text(text, 40));
  }
  bool string(std::string& /*text*/) override { return refuse("a text"); }
  bool binary(nlohmann::json::binary_t& /*value*/) override { return refuse("bytes"); }
  bool start_array(size_t /*size*/) override { return refuse("a list"); }
  bool end_array() override { return true; }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::json::exception& /*error*/) override {
    throw InputError(path_.string(), "JSON", fmt::format("a mistake at its byte {}", position));
  }

 protected:
  /// The file and the current part of it.
  virtual std::string where() const { return path_.string(); }
  virtual std::string expected() const = 0;
  bool refuse(const std::string& found) const { throw InputError(where(), expected(), found); }

  const std::filesystem::path& path_;
};

}  // namespace softmoe
