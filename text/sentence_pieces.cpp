#include "text/sentence_pieces.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

#include "core/error.h"
#include "text/token_marks.h"
#include "text/unicode_text.h"

namespace softmoe {
namespace {

constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581, which stands for a space
constexpr std::string_view kUnknownText = " \xE2\x81\x87 ";
constexpr float kUnknownPenalty = 10.0F;

/// A field of a protobuf message.
struct WireField {
  uint64_t number = 0;
  uint64_t value = 0;      ///< of integers and fixed values
  std::string_view bytes;  ///< of texts and messages
};

/// Goes through the fields of a message; `where` begins messages of InputError.
class WireReader {
 public:
  WireReader(std::string_view rest, const std::string& where) : rest_(rest), where_(where) {}

  std::optional<WireField> next() {
    if (rest_.empty()) {
      return std::nullopt;
    }
    const auto key = varint();
    WireField field{.number = key >> 3, .value = 0, .bytes = {}};
    switch (key & 7) {
      case 0:
        field.value = varint();
        break;
      case 1:
        field.value = fixed(8);
        break;
      case 2:
        field.bytes = take(varint());
        break;
      case 5:
        field.value = fixed(4);
        break;
      default:
        refuse();
    }
    if (field.number == 0) {
      refuse();
    }
    return field;
  }

 private:
  [[noreturn]] void refuse() const {
    throw InputError(where_, "a model of SentencePiece (spiece.model)", "other bytes");
  }

  std::string_view take(uint64_t count) {
    if (count > rest_.size()) {
      refuse();
    }
    const auto part = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return part;
  }

  uint64_t fixed(size_t bytes) {
    uint64_t value = 0;
    const auto part = take(bytes);
    for (size_t place = bytes; place-- > 0;) {
      value = (value << 8) | static_cast<uint8_t>(part[place]);
    }
    return value;
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<uint8_t>(take(1).front());
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    refuse();
  }

  std::string_view rest_;
  const std::string& where_;
};

float float_of(uint64_t bits) {
  const auto low = static_cast<uint32_t>(bits);
  float value = 0.0F;
  std::memcpy(&value, &low, sizeof(value));
  return value;
}

/// The bytes of the character at `place` of UTF-8 text.
size_t character_size(std::string_view text, size_t place) {
  size_t size = 1;
  while (place + size < text.size() && (static_cast<uint8_t>(text[place + size]) & 0xC0) == 0x80) {
    ++size;
  }
  return size;
}

}  // namespace

SentencePieces::SentencePieces(std::string_view model, const std::string& where) {
  read(model, where);
  if (pieces_.empty()) {
    throw InputError(where, "a model of SentencePiece (spiece.model)", "no pieces");
  }
  min_score_ = std::numeric_limits<float>::max();
  max_score_ = std::numeric_limits<float>::lowest();
  for (size_t place = 0; place < pieces_.size(); ++place) {
    const auto& piece = pieces_[place];
    if (piece.kind == Kind::kUnknown) {
      unknown_ = static_cast<int64_t>(place);
    }
    if (piece.kind == Kind::kNormal) {
      min_score_ = std::min(min_score_, piece.score);
      max_score_ = std::max(max_score_, piece.score);
    }
    if ((piece.kind == Kind::kNormal || piece.kind == Kind::kUserDefined) && !piece.text.empty()) {
      place_of_.try_emplace(piece.text, static_cast<int64_t>(place));
      longest_ = std::max(longest_, piece.text.size());
    }
  }
}

void SentencePieces::read(std::string_view model, const std::string& where) {
  WireReader fields(model, where);
  while (const auto field = fields.next()) {
    if (field->number == 1) {
      read_piece(field->bytes, where);
    } else if (field->number == 2) {
      WireReader trainer(field->bytes, where);
      while (const auto option = trainer.next()) {
        if (option->number == 3 && option->value != 1) {
          throw InputError(where, "a unigram model of SentencePiece", "one of another kind");
        }
      }
    } else if (field->number == 3) {
      read_normalizer(field->bytes, where);
    }
  }
}

void SentencePieces::read_piece(std::string_view message, const std::string& where) {
  Piece piece;
  WireReader fields(message, where);
  while (const auto field = fields.next()) {
    if (field->number == 1) {
      piece.text = field->bytes;
    } else if (field->number == 2) {
      piece.score = float_of(field->value);
    } else if (field->number == 3) {
      piece.kind = static_cast<Kind>(field->value);
    }
  }
  pieces_.push_back(std::move(piece));
}

void SentencePieces::read_normalizer(std::string_view message, const std::string& where) {
  WireReader fields(message, where);
  while (const auto field = fields.next()) {
    if (field->number == 2 && field->bytes.size() > sizeof(uint32_t)) {
      uint32_t size = 0;
      std::memcpy(&size, field->bytes.data(), sizeof(size));
      const auto rest = field->bytes.substr(sizeof(size));
      if (size > rest.size() || size % sizeof(uint32_t) != 0) {
        throw InputError(where, "a whole map of characters", "a damaged one");
      }
      trie_.resize(size / sizeof(uint32_t));
      std::memcpy(trie_.data(), rest.data(), size);
      replacements_ = std::string(rest.substr(size)) + '\0';
    } else if (field->number == 3) {
      adds_prefix_ = field->value != 0;
    } else if (field->number == 4) {
      removes_spaces_ = field->value != 0;
    }
  }
}

std::pair<size_t, std::string_view> SentencePieces::replaced_prefix(std::string_view text) const {
  // A unit of Darts: bit 8 has a leaf, bits 10 and up are the offset, the low byte is the label.
  const auto offset_of = [](uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); };
  std::pair<size_t, std::string_view> longest{0, {}};
  if (trie_.empty()) {
    return longest;
  }
  size_t node = offset_of(trie_[0]);
  for (size_t place = 0; place < text.size(); ++place) {
    const auto byte = static_cast<uint8_t>(text[place]);
    node ^= byte;
    if (node >= trie_.size() || (trie_[node] & ((1U << 31) | 0xFFU)) != byte) {
      break;
    }
    const auto unit = trie_[node];
    node ^= offset_of(unit);
    if ((unit & (1U << 8)) != 0 && node < trie_.size()) {
      const size_t begin = trie_[node] & ((1U << 31) - 1);
      if (begin < replacements_.size()) {
        longest = {place + 1, std::string_view(replacements_.data() + begin)};
      }
    }
  }
  return longest;
}

std::string SentencePieces::normalized(const std::string& text) const {
  const auto valid = to_utf8(code_points(text));
  std::string mapped;
  for (size_t place = 0; place < valid.size();) {
    const auto rest = std::string_view(valid).substr(place);
    const auto [size, replacement] = replaced_prefix(rest);
    const auto own = character_size(valid, place);
    mapped += size > 0 ? replacement : rest.substr(0, own);
    place += size > 0 ? size : own;
  }
  std::string result;
  bool wants_blank = adds_prefix_;
  for (const auto letter : mapped) {
    if (letter == ' ' && removes_spaces_) {
      wants_blank = wants_blank || !result.empty();
      continue;
    }
    if (wants_blank) {
      result += kBlank;
      wants_blank = false;
    }
    if (letter == ' ') {
      result += kBlank;
    } else {
      result += letter;
    }
  }
  return result;
}

std::vector<int64_t> SentencePieces::encode(const std::string& text) const {
  const auto normal = normalized(text);
  struct Best {
    float score = 0.0F;
    int64_t begin = -1;
    int64_t piece = -1;
  };
  std::vector<Best> best(normal.size() + 1);
  for (size_t begin = 0; begin < normal.size();) {
    const auto own = character_size(normal, begin);
    bool has_own = false;
    const auto offer = [&](size_t size, int64_t piece, float score) {
      auto& end = best[begin + size];
      const float sum = best[begin].score + score;
      if (end.begin < 0 || sum > end.score) {
        end = {.score = sum, .begin = static_cast<int64_t>(begin), .piece = piece};
      }
    };
    for (size_t size = own; size <= longest_ && begin + size <= normal.size();
         size += begin + size < normal.size() ? character_size(normal, begin + size) : 1) {
      const auto at = place_of_.find(normal.substr(begin, size));
      if (at == place_of_.end()) {
        continue;
      }
      const auto& piece = pieces_[static_cast<size_t>(at->second)];
      offer(size, at->second,
            piece.kind == Kind::kUserDefined ? static_cast<float>(size) * max_score_ - 0.1F
                                             : piece.score);
      has_own = has_own || size == own;
    }
    if (!has_own) {
      offer(own, unknown_, min_score_ - kUnknownPenalty);
    }
    begin += own;
  }
  std::vector<int64_t> ids;
  for (auto end = static_cast<int64_t>(normal.size()); end > 0;) {
    const auto& last = best[static_cast<size_t>(end)];
    if (last.piece != unknown_ || ids.empty() || ids.back() != unknown_) {
      ids.push_back(last.piece);
    }
    end = last.begin;
  }
  std::reverse(ids.begin(), ids.end());
  return ids;
}

std::string SentencePieces::decode(std::span<const int64_t> ids) const {
  std::string text;
  for (const auto id : ids) {
    check_id(id, size());
    const auto& piece = pieces_[static_cast<size_t>(id)];
    if (piece.kind == Kind::kControl) {
      continue;
    }
    text += piece.kind == Kind::kUnknown ? std::string(kUnknownText) : piece.text;
  }
  for (auto at = text.find(kBlank); at != text.npos; at = text.find(kBlank, at + 1)) {
    text.replace(at, kBlank.size(), " ");
  }
  return adds_prefix_ && text.starts_with(' ') ? text.substr(1) : text;
}

}  // namespace softmoe
