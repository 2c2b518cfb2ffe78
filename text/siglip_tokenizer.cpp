#include "text/siglip_tokenizer.h"

#include <algorithm>
#include <iterator>

#include "core/base64.h"
#include "core/error.h"
#include "text/token_marks.h"
#include "text/unicode_text.h"

namespace softmoe {
namespace {

constexpr int64_t kSiglipEnd = 1;

bool is_ascii_punctuation(char32_t code) {
  return (code >= U'!' && code <= U'/') || (code >= U':' && code <= U'@') ||
         (code >= U'[' && code <= U'`') || (code >= U'{' && code <= U'~');
}

}  // namespace

std::string siglip_text(const std::string& text) {
  std::u32string canonical;
  bool wants_space = false;
  for (const auto code : lower_cased(code_points(text))) {
    if (is_white_space(code)) {
      wants_space = !canonical.empty();
    } else if (!is_ascii_punctuation(code)) {
      if (wants_space) {
        canonical += U' ';
        wants_space = false;
      }
      canonical += code;
    }
  }
  return to_utf8(canonical);
}

SiglipTokenizer::SiglipTokenizer(std::string model, const std::string& where)
    : model_(std::move(model)), pieces_(model_, where) {
  if (vocab_size() <= kSiglipEnd) {
    throw InputError(where, "two tokens or more", std::to_string(vocab_size()));
  }
}

std::unique_ptr<SiglipTokenizer> SiglipTokenizer::from_data(const std::string& data,
                                                            const std::string& where) {
  auto model = from_base64(data);
  if (!model) {
    throw InputError(where, "the bytes of a spiece.model in base64", "other text");
  }
  return std::make_unique<SiglipTokenizer>(std::move(*model), where);
}

std::string SiglipTokenizer::data() const { return to_base64(model_); }

std::vector<int64_t> SiglipTokenizer::encode(const std::string& text, int64_t max_tokens) const {
  TORCH_CHECK_VALUE(max_tokens >= 1, "tokens per text must be at least 1, not ", max_tokens);
  auto ids = pieces_.encode(siglip_text(text));
  if (std::ssize(ids) > max_tokens - 1) {
    ids.resize(static_cast<size_t>(max_tokens - 1));
  }
  ids.push_back(kSiglipEnd);
  return ids;
}

std::string SiglipTokenizer::decode(std::span<const int64_t> ids) const {
  std::vector<int64_t> own;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(own),
               [](int64_t id) { return id != kSiglipEnd; });
  return pieces_.decode(own);
}

}  // namespace softmoe
