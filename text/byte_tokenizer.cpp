#include "text/byte_tokenizer.h"

#include "text/token_marks.h"

namespace softmoe {
namespace {

constexpr int64_t kByteEnd = 1;
constexpr int64_t kByteBegin = 2;
constexpr int64_t kFirstByte = 3;

}  // namespace

std::vector<int64_t> ByteTokenizer::encode(const std::string& text, int64_t max_tokens) const {
  std::vector<int64_t> ids;
  for (const auto byte : text) {
    ids.push_back(kFirstByte + static_cast<uint8_t>(byte));
  }
  return with_marks(ids, kByteBegin, kByteEnd, max_tokens);
}

std::string ByteTokenizer::decode(std::span<const int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check_id(id, vocab_size());
    if (id >= kFirstByte) {
      text += static_cast<char>(id - kFirstByte);
    }
  }
  return text;
}

}  // namespace softmoe
