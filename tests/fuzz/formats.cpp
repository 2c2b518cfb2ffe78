#include "fuzz/formats.h"

#include <algorithm>
#include <stdexcept>

#include "core/error.h"
#include "fuzz/format_lists.h"

namespace softmoe::fuzz {

namespace fs = std::filesystem;

const std::vector<Format>& formats() {
  static const std::vector<Format> all = [] {
    std::vector<Format> rows;
    for (auto* const list : {tensor_formats, image_formats, dataset_formats, text_formats,
                             vocabulary_formats_to_fuzz}) {
      const auto more = list();
      rows.insert(rows.end(), more.begin(), more.end());
    }
    return rows;
  }();
  return all;
}

const Format* find_format(std::string_view name) {
  const auto& all = formats();
  const auto row = std::find_if(all.begin(), all.end(),
                                [&](const Format& format) { return format.name == name; });
  return row == all.end() ? nullptr : &*row;
}

const Layer& chosen_layer(const Format& format, char byte) {
  return format.layers[static_cast<unsigned char>(byte) % format.layers.size()];
}

Outcome try_input(const Format& format, const Layer& layer, const std::string& input,
                  const fs::path& folder) {
  const fs::path path = folder / format.file;
  layer.write(input, path);
  try {
    format.read(path);
    return Outcome::kAccepted;
  } catch (const InputError& error) {
    const std::string message = error.what();
    if (message.find('\n') != std::string::npos ||
        message.find(folder.string()) == std::string::npos) {
      throw std::runtime_error("a message of several lines or without the file: " + message);
    }
    return Outcome::kRefused;
  } catch (const std::exception& error) {
    throw std::runtime_error(std::string("another error than InputError: ") +
                             single_line(error.what()));
  }
}

}  // namespace softmoe::fuzz
