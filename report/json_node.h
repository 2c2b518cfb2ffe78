#pragma once
/// A value of a JSON document that knows where it is, so that errors can name file and field.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe::report {

/// Reads parts of a document. Every getter throws InputError if the value is of another type:
/// "bench.json: records[2].batch_size: expected an integer, found null". The document must outlive
/// the node.
class JsonNode {
 public:
  JsonNode(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  /// The member `key`; throws InputError if there is none.
  JsonNode at(const std::string& key) const;
  /// The member `key`, or nullopt if it is absent or null.
  std::optional<JsonNode> find(const std::string& key) const;
  /// The elements of an array.
  std::vector<JsonNode> items() const;

  double number() const;  ///< NaN for null: JSON writes NaN and infinity as null
  int64_t integer() const;
  std::string text() const;
  bool boolean() const;

  /// The member `key`, or `otherwise` if it is absent or null.
  double number_or(const std::string& key, double otherwise) const;
  std::string text_or(const std::string& key, const std::string& otherwise) const;

  bool is_array() const { return value_->is_array(); }
  bool is_object() const { return value_->is_object(); }
  bool is_number() const { return value_->is_number(); }
  const Json& value() const { return *value_; }
  const std::string& where() const { return where_; }

 private:
  [[noreturn]] void fail(const std::string& expected) const;

  const Json* value_;
  std::string where_;
};

/// Parses a whole file; throws InputError with the file and the position of the mistake.
Json read_json_file(const std::filesystem::path& path);

/// Parses one text; errors begin with `where`.
Json parse_json(const std::string& text, const std::string& where);

}  // namespace softmoe::report
