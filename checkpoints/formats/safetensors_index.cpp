#include "checkpoints/formats/safetensors_index.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "checkpoints/formats/json_events.h"
#include "checkpoints/formats/safetensors_header.h"
#include "core/error.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// {"metadata": {...}, "weight_map": {"name": "file"}}
class IndexEvents : public JsonEvents {
 public:
  using JsonEvents::JsonEvents;

  bool null() override { return skip_value("null"); }
  bool boolean(bool /*value*/) override { return skip_value("a truth value"); }
  bool number_integer(int64_t value) override { return skip_value(std::to_string(value)); }
  bool number_unsigned(uint64_t value) override { return skip_value(std::to_string(value)); }
  bool number_float(double /*value*/, const std::string& text) override {
    return skip_value(printable_text(text, 40));
  }
  bool start_array(size_t /*size*/) override {
    skip_value("a list");
    ++depth_;
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }

  bool start_object(size_t /*size*/) override {
    if (depth_ > 1 || (depth_ == 1 && section_ != "weight_map")) {
      skip_value("an object");
    }
    ++depth_;
    return true;
  }

  bool end_object() override {
    --depth_;
    return true;
  }

  bool key(std::string& text) override {
    if (depth_ == 1) {
      section_ = text;
      if (text == "weight_map" && std::exchange(has_map_, true)) {
        throw InputError(path_.string(), "one 'weight_map'", "two");
      }
    } else {
      name_ = text;
    }
    return true;
  }

  bool string(std::string& text) override {
    if (depth_ != 2 || section_ != "weight_map") {
      return skip_value("a text");
    }
    const auto is_refused = [](char letter) {
      return letter == '/' || letter == '\\' ||
             std::iscntrl(static_cast<unsigned char>(letter)) != 0;
    };
    const bool is_plain = !text.empty() && text != "." && text != ".." &&
                          std::none_of(text.begin(), text.end(), is_refused);
    if (!is_plain) {
      throw InputError(where(), "a file in the folder of the index",
                       "'" + printable_text(text) + "'");
    }
    if (!files_.emplace(name_, text).second) {
      throw InputError(where(), "one tensor of a name", "two");
    }
    return true;
  }

  std::map<std::string, std::string> take() {
    if (files_.empty()) {
      throw InputError(path_.string(), "an index with a 'weight_map'", "none");
    }
    return std::move(files_);
  }

 private:
  static constexpr int kMaxDepth = 32;

  std::string where() const override {
    return depth_ >= 2 && section_ == "weight_map" ? safetensors_place(path_, name_)
                                                   : path_.string();
  }
  std::string expected() const override {
    return "an index {\"weight_map\": {\"tensor\": \"file\"}}";
  }

  bool skip_value(const std::string& found) const {
    if (depth_ == 0 || section_ == "weight_map" || depth_ >= kMaxDepth) {
      refuse(depth_ >= kMaxDepth ? "deeper JSON" : found);
    }
    return true;
  }

  std::map<std::string, std::string> files_;
  int depth_ = 0;
  bool has_map_ = false;
  std::string section_;
  std::string name_;
};

}  // namespace

std::map<std::string, std::string> parse_safetensors_index(std::string_view text,
                                                           const fs::path& path) {
  IndexEvents events(path);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  return events.take();
}

}  // namespace softmoe
