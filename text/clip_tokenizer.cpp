#include "text/clip_tokenizer.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "io/bounded_json.h"
#include "text/byte_symbols.h"
#include "text/text_split.h"
#include "text/token_marks.h"

namespace softmoe {
namespace {

constexpr const char* kWordEnd = "</w>";
constexpr const char* kBeginMark = "<|startoftext|>";
constexpr const char* kEndMark = "<|endoftext|>";

using TokenIds = std::unordered_map<std::string, int32_t>;

TokenIds ids_of_tokens(const std::vector<std::string>& tokens, const std::string& where) {
  TokenIds ids;
  for (const auto& token : tokens) {
    if (!ids.emplace(token, static_cast<int32_t>(ids.size())).second) {
      throw InputError(where, "different tokens", "'" + printable_text(token) + "' twice");
    }
  }
  return ids;
}

int32_t required_id(const TokenIds& ids, const std::string& token, const std::string& where) {
  const auto at = ids.find(token);
  if (at == ids.end()) {
    throw InputError(where, "the token '" + printable_text(token) + "'", "none");
  }
  return at->second;
}

/// The merges as ids. Merges whose result is no token cannot happen.
std::vector<PairMerge> merges_as_ids(const ClipVocabulary& vocabulary, const TokenIds& ids,
                                     const std::string& where) {
  std::vector<PairMerge> merges;
  for (const auto& [left, right] : vocabulary.merges) {
    const auto at = fmt::format("{}: merge '{} {}'", where, printable_text(left, 40),
                                printable_text(right, 40));
    merges.push_back({required_id(ids, left, at), required_id(ids, right, at),
                      required_id(ids, left + right, at)});
  }
  return merges;
}

}  // namespace

ClipVocabulary clip_vocabulary(std::vector<std::pair<std::string, std::string>> merges) {
  ClipVocabulary vocabulary;
  for (const char* const end : {"", kWordEnd}) {
    for (int64_t symbol = 0; symbol < 256; ++symbol) {
      vocabulary.tokens.push_back(
          printable_bytes(std::string(1, static_cast<char>(byte_of_symbol(symbol)))) + end);
    }
  }
  for (const auto& [left, right] : merges) {
    vocabulary.tokens.push_back(left + right);
  }
  vocabulary.tokens.insert(vocabulary.tokens.end(), {kBeginMark, kEndMark});
  vocabulary.merges = std::move(merges);
  return vocabulary;
}

ClipTokenizer::ClipTokenizer(ClipVocabulary vocabulary, const std::string& where)
    : vocabulary_(std::move(vocabulary)) {
  const auto ids = ids_of_tokens(vocabulary_.tokens, where);
  begin_ = required_id(ids, kBeginMark, where);
  end_ = required_id(ids, kEndMark, where);
  const auto id_or_end = [&](const std::string& token) {
    const auto at = ids.find(token);
    return at == ids.end() ? static_cast<int32_t>(end_) : at->second;
  };
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto letter = printable_bytes(std::string(1, static_cast<char>(byte)));
    inner_[byte] = id_or_end(letter);
    last_[byte] = id_or_end(letter + kWordEnd);
  }
  merges_ = PairMerges(merges_as_ids(vocabulary_, ids, where));
}

ClipTokenizer ClipTokenizer::from_data(const std::string& data, const std::string& where) {
  const auto json = parse_json(data, where);
  ClipVocabulary vocabulary;
  try {
    json.at("tokens").get_to(vocabulary.tokens);
    json.at("merges").get_to(vocabulary.merges);
  } catch (const nlohmann::json::exception& error) {
    throw InputError(where, "lists of tokens and merges", single_line(error.what()));
  }
  return {std::move(vocabulary), where};
}

std::string ClipTokenizer::data() const {
  return json_text({{"tokens", vocabulary_.tokens}, {"merges", vocabulary_.merges}});
}

void ClipTokenizer::append_part(const std::string& part, std::vector<int64_t>& ids) const {
  if (part == kBeginMark || part == kEndMark) {
    ids.push_back(part == kBeginMark ? begin_ : end_);
    return;
  }
  std::vector<int32_t> symbols;
  for (size_t place = 0; place < part.size(); ++place) {
    const auto& symbol_of = place + 1 == part.size() ? last_ : inner_;
    symbols.push_back(symbol_of[static_cast<uint8_t>(part[place])]);
  }
  const auto merged = merges_.apply(symbols);
  ids.insert(ids.end(), merged.begin(), merged.end());
}

std::vector<int64_t> ClipTokenizer::encode(const std::string& text, int64_t max_tokens) const {
  std::vector<int64_t> ids;
  for (const auto& part : clip_parts(text)) {
    append_part(part, ids);
    if (std::ssize(ids) >= max_tokens) {
      break;
    }
  }
  return with_marks(std::move(ids), begin_, end_, max_tokens);
}

std::string ClipTokenizer::decode(std::span<const int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check_id(id, vocab_size());
    if (id == begin_ || id == end_) {
      continue;
    }
    auto token = vocabulary_.tokens[static_cast<size_t>(id)];
    const bool ends_word = token.ends_with(kWordEnd);
    if (ends_word) {
      token.resize(token.size() - std::string_view(kWordEnd).size());
    }
    text += bytes_of_printable(token).value_or(token) + (ends_word ? " " : "");
  }
  if (text.ends_with(' ')) {
    text.pop_back();
  }
  return text;
}

}  // namespace softmoe
