#include "checkpoints/convert/npz_description.h"

#include <string_view>

#include "io/npz.h"

namespace softmoe {
namespace {

constexpr std::string_view kMark = "softmoe: ";

std::string whole_comment(const ModelDescription& description) {
  return std::string(kMark) + json_text(to_metadata(description));
}

}  // namespace

std::string npz_description(const ModelDescription& description) {
  if (names_fit_npz(description)) {
    return whole_comment(description);
  }
  auto nameless = description;
  nameless.class_names.clear();
  return whole_comment(nameless);
}

bool names_fit_npz(const ModelDescription& description) {
  return whole_comment(description).size() <= kNpzCommentLimit;
}

std::optional<std::string> described_in_npz(const std::string& comment) {
  return comment.starts_with(kMark) ? std::optional(comment.substr(kMark.size())) : std::nullopt;
}

}  // namespace softmoe
