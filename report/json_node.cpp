#include "report/json_node.h"

#include <fmt/format.h>

#include "core/error.h"
#include "io/atomic_file.h"
#include "report/number_text.h"

namespace softmoe::report {
namespace {

/// The place without the separator between a file and its fields.
std::string place(const std::string& where) {
  return where.ends_with(": ") ? where.substr(0, where.size() - 2) : where;
}

}  // namespace

void JsonNode::fail(const std::string& expected) const {
  const bool is_short = !value_->is_structured();
  throw InputError(place(where_), expected,
                   is_short ? shortened(value_->dump(), 60) : value_->type_name());
}

JsonNode JsonNode::at(const std::string& key) const {
  if (!value_->is_object()) {
    fail("an object with '" + key + "'");
  }
  const auto member = value_->find(key);
  if (member == value_->end()) {
    throw InputError(place(where_), "a field '" + key + "'", "none");
  }
  return {*member, where_ + (where_.ends_with(": ") ? "" : ".") + key};
}

std::optional<JsonNode> JsonNode::find(const std::string& key) const {
  if (!value_->is_object() || !value_->contains(key) || value_->at(key).is_null()) {
    return std::nullopt;
  }
  return at(key);
}

std::vector<JsonNode> JsonNode::items() const {
  if (!value_->is_array()) {
    fail("a list");
  }
  std::vector<JsonNode> nodes;
  for (size_t i = 0; i < value_->size(); ++i) {
    nodes.emplace_back(value_->at(i), fmt::format("{}[{}]", where_, i));
  }
  return nodes;
}

double JsonNode::number() const {
  if (value_->is_null()) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (!value_->is_number()) {
    fail("a number");
  }
  return value_->get<double>();
}

int64_t JsonNode::integer() const {
  if (!value_->is_number_integer()) {
    fail("an integer");
  }
  return value_->get<int64_t>();
}

std::string JsonNode::text() const {
  if (!value_->is_string()) {
    fail("text");
  }
  return value_->get<std::string>();
}

bool JsonNode::boolean() const {
  if (!value_->is_boolean()) {
    fail("true or false");
  }
  return value_->get<bool>();
}

double JsonNode::number_or(const std::string& key, double otherwise) const {
  const auto member = find(key);
  return member ? member->number() : otherwise;
}

std::string JsonNode::text_or(const std::string& key, const std::string& otherwise) const {
  const auto member = find(key);
  return member ? member->text() : otherwise;
}

Json parse_json(const std::string& text, const std::string& where) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    const bool is_cut = error.byte >= text.size();
    throw InputError(where, "JSON",
                     is_cut ? fmt::format("text that breaks off after {} bytes", text.size())
                            : fmt::format("a syntax error at byte {}", error.byte));
  }
}

Json read_json_file(const std::filesystem::path& path) {
  return parse_json(read_text_file(path), path.string());
}

}  // namespace softmoe::report
