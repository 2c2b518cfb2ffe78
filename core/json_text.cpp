#include "core/json_text.h"

#include <nlohmann/json.hpp>

namespace softmoe {

std::string json_text(const Json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string valid_utf8(const std::string& text) {
  return Json::parse(json_text(text)).get<std::string>();
}

}  // namespace softmoe
