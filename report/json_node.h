#pragma once
/// A value of a JSON document that knows where it is, so that errors can name file and field.

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe::report {

/// Reads parts of a document. Every getter throws InputError where the value is not what is asked
/// for: "bench.json: records[2].batch_size: expected an integer, found null". The document must
/// outlive the node.
class JsonNode {
 public:
  JsonNode(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  /// The member `key`, which must be there.
  JsonNode at(const std::string& key) const;
  /// The member `key`, or none where it is absent or null.
  std::optional<JsonNode> find(const std::string& key) const;
  /// The elements of an array.
  std::vector<JsonNode> items() const;

  double number() const;  ///< NaN for null, as which NaN and infinity are written
  int64_t integer() const;
  std::string text() const;
  bool boolean() const;

  /// Members by key, or `otherwise` where absent or null.
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

/// Parses a whole file; throws InputError that names it and the place where it breaks off.
Json read_json_file(const std::filesystem::path& path);

/// Parses one text; `where` is what errors name.
Json parse_json(const std::string& text, const std::string& where);

}  // namespace softmoe::report
