#include "text/bpe_tokenizer.h"

#include <fmt/format.h>

#include <unordered_map>

#include "core/error.h"
#include "core/split_text.h"
#include "text/bpe_training.h"
#include "text/byte_symbols.h"
#include "text/text_split.h"
#include "text/token_marks.h"

namespace softmoe {
namespace {

constexpr int64_t kPairEnd = 1;
constexpr int64_t kPairBegin = 2;

/// The bytes of the symbols before the first merge.
std::vector<std::string> first_symbols() {
  std::vector<std::string> bytes(kFirstByteSymbol);
  for (int64_t symbol = 0; symbol < 256; ++symbol) {
    bytes.emplace_back(1, static_cast<char>(byte_of_symbol(symbol)));
  }
  return bytes;
}

}  // namespace

BpeTokenizer::BpeTokenizer(std::vector<PairMerge> merges)
    : list_(std::move(merges)), merges_(list_), bytes_(first_symbols()) {
  for (const auto& merge : list_) {
    TORCH_CHECK_VALUE(merge.result == std::ssize(bytes_) && merge.left < merge.result &&
                          merge.right < merge.result && merge.left >= kFirstByteSymbol &&
                          merge.right >= kFirstByteSymbol,
                      "BpeTokenizer: merges must make new symbols of earlier ones");
    bytes_.push_back(bytes_[static_cast<size_t>(merge.left)] +
                     bytes_[static_cast<size_t>(merge.right)]);
  }
}

BpeTokenizer BpeTokenizer::from_data(const std::string& data, const std::string& where) {
  auto bytes = first_symbols();
  std::unordered_map<std::string, int32_t> symbol_of;
  for (size_t symbol = kFirstByteSymbol; symbol < bytes.size(); ++symbol) {
    symbol_of.emplace(printable_bytes(bytes[symbol]), static_cast<int32_t>(symbol));
  }
  std::vector<PairMerge> merges;
  for (const auto& line : split_text(data, '\n')) {
    const auto space = line.find(' ');
    const auto left = line.substr(0, space);
    const auto right = space == line.npos ? std::string() : line.substr(space + 1);
    const auto at_left = symbol_of.find(left);
    const auto at_right = symbol_of.find(right);
    const auto result = static_cast<int32_t>(kMinBpeVocabulary + std::ssize(merges));
    if (at_left == symbol_of.end() || at_right == symbol_of.end() ||
        !symbol_of.emplace(left + right, result).second) {
      throw InputError(fmt::format("{}: merge {}", where, merges.size() + 1),
                       "two parts that earlier merges make, and that are no part together yet",
                       "'" + printable_text(line) + "'");
    }
    merges.push_back({at_left->second, at_right->second, result});
  }
  return BpeTokenizer(std::move(merges));
}

std::string BpeTokenizer::data() const {
  std::string text;
  for (const auto& merge : list_) {
    text += printable_bytes(bytes_[static_cast<size_t>(merge.left)]) + " " +
            printable_bytes(bytes_[static_cast<size_t>(merge.right)]) + "\n";
  }
  return text;
}

std::vector<int64_t> BpeTokenizer::encode(const std::string& text, int64_t max_tokens) const {
  std::vector<int64_t> ids;
  for (const auto& part : gpt2_parts(text)) {
    std::vector<int32_t> symbols;
    for (const auto byte : part) {
      symbols.push_back(
          static_cast<int32_t>(kFirstByteSymbol + symbol_of_byte(static_cast<uint8_t>(byte))));
    }
    const auto merged = merges_.apply(symbols);
    ids.insert(ids.end(), merged.begin(), merged.end());
    if (std::ssize(ids) >= max_tokens) {
      break;
    }
  }
  return with_marks(std::move(ids), kPairBegin, kPairEnd, max_tokens);
}

std::string BpeTokenizer::decode(std::span<const int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check_id(id, vocab_size());
    text += bytes_[static_cast<size_t>(id)];
  }
  return text;
}

}  // namespace softmoe
