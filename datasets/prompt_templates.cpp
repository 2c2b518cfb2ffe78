#include "datasets/prompt_templates.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/split_text.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

constexpr std::string_view kPlace = "{}";

/// Sentences that hold for most pictures, whatever they show.
const std::vector<std::string>& default_templates() {
  static const std::vector<std::string> sentences{
      "{}",
      "a picture of {}",
      "a picture of a {}",
      "a photo of a {}",
      "this is a {}",
      "here is the {}",
      "an image that shows a {}",
      "one {} in the middle",
      "a small {}",
      "a large {}",
      "a close view of a {}",
      "a {} seen from far away",
      "a part of a {}",
      "a drawing of a {}",
      "a painting of a {}",
      "a black and white picture of a {}",
      "a picture of a {} in colour",
      "a bright picture of a {}",
      "a dark picture of a {}",
      "a sharp picture of a {}",
      "a blurred picture of a {}",
      "a {} that is turned a little",
      "an old picture of a {}",
      "someone made this picture of a {}",
  };
  return sentences;
}

}  // namespace

std::vector<std::string> prompt_templates(const std::string& name) {
  if (name == "default") {
    return default_templates();
  }
  std::vector<std::string> sentences;
  int64_t number = 0;
  for (const auto& line : split_text(read_text_file(name), '\n')) {
    ++number;
    auto sentence = trimmed(line, " \t\r");
    if (sentence.empty()) {
      continue;
    }
    const auto place = sentence.find(kPlace);
    if (place == sentence.npos || sentence.find(kPlace, place + 1) != sentence.npos) {
      throw InputError(fmt::format("{} line {}", printable_text(name), number),
                       "a sentence with one {} for the name of the class",
                       "'" + printable_text(sentence, 60) + "'");
    }
    sentences.push_back(std::move(sentence));
  }
  if (sentences.empty()) {
    throw InputError(printable_text(name), "sentences with {}, one per line", "none");
  }
  return sentences;
}

std::string filled_template(const std::string& sentence, const std::string& name) {
  auto text = sentence;
  return text.replace(text.find(kPlace), kPlace.size(), name);
}

}  // namespace softmoe
