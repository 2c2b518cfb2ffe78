#include "fuzz/mutation.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace softmoe::fuzz {
namespace {

constexpr size_t kMaxBytes = 1 << 20;

/// Numbers at the edges of integer types and around the limits of the formats.
constexpr std::array<uint64_t, 26> kEdges = {0,
                                             1,
                                             2,
                                             3,
                                             7,
                                             8,
                                             31,
                                             32,
                                             63,
                                             64,
                                             65,
                                             127,
                                             128,
                                             255,
                                             256,
                                             32767,
                                             65535,
                                             65536,
                                             0x7fffffff,
                                             0x80000000,
                                             0xffffffff,
                                             0x100000000,
                                             0x3fffffffffffffff,
                                             0x7fffffffffffffff,
                                             0x8000000000000000,
                                             0xffffffffffffffff};

size_t below(Rng& rng, size_t bound) {
  return static_cast<size_t>(rng.below(static_cast<int64_t>(std::max<size_t>(bound, 1))));
}

/// The begin and the length of a random piece, mostly short.
std::pair<size_t, size_t> piece(const std::string& text, Rng& rng) {
  const size_t begin = below(rng, text.size());
  const size_t limit =
      rng.below(4) == 0 ? text.size() - begin : std::min<size_t>(text.size() - begin, 16);
  return {begin, below(rng, limit) + (limit > 0 ? 1 : 0)};
}

uint64_t edge(Rng& rng) { return kEdges[below(rng, kEdges.size())]; }

void flip_bit(std::string& text, Rng& rng) {
  char& byte = text[below(rng, text.size())];
  byte = static_cast<char>(byte ^ (1 << rng.below(8)));
}

void set_byte(std::string& text, Rng& rng) {
  text[below(rng, text.size())] = static_cast<char>(rng.below(256));
}

/// Overwrites 1, 2, 4 or 8 bytes, which may be a length or an offset.
void set_number(std::string& text, Rng& rng) {
  const size_t bytes = std::min<size_t>(size_t{1} << rng.below(4), text.size());
  const size_t at = below(rng, text.size() - bytes + 1);
  uint64_t value = edge(rng);
  if (rng.below(3) == 0) {  // close to the old value
    value = 0;
    std::memcpy(&value, text.data() + at, bytes);
    value += static_cast<uint64_t>(rng.below(17) - 8);
  }
  std::memcpy(text.data() + at, &value, bytes);
}

/// Replaces a run of digits.
void set_decimal(std::string& text, Rng& rng) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto from = text.begin() + static_cast<std::ptrdiff_t>(below(rng, text.size()));
  const auto begin = std::find_if(from, text.end(), is_digit);
  const auto end = std::find_if_not(begin, text.end(), is_digit);
  if (begin != text.end()) {
    const std::string number = (rng.below(8) == 0 ? "-" : "") + std::to_string(edge(rng)) +
                               (rng.below(8) == 0 ? "0e1" : "");
    text.replace(begin, end, number);
  }
}

void cut_out(std::string& text, Rng& rng) {
  const auto [begin, length] = piece(text, rng);
  text.erase(begin, length);
}

void cut_end(std::string& text, Rng& rng) { text.resize(below(rng, text.size())); }

void repeat(std::string& text, Rng& rng) {
  const auto [begin, length] = piece(text, rng);
  const std::string part = text.substr(begin, length);
  const size_t at = below(rng, text.size() + 1);
  const size_t times = rng.below(16) == 0 ? 1 + below(rng, 2000) : 1 + below(rng, 3);
  std::string inserted;
  for (size_t i = 0; i < times && inserted.size() + part.size() < kMaxBytes / 4; ++i) {
    inserted += part;
  }
  text.insert(at, inserted);
}

void move_over(std::string& text, const std::string& other, Rng& rng) {
  const auto [begin, length] = piece(other, rng);
  const size_t at = below(rng, text.size() + 1);
  text.replace(at, std::min(length, text.size() - at), other, begin, length);
}

}  // namespace

std::string mutate(const std::vector<std::string>& seeds, Rng& rng) {
  std::string text = seeds[below(rng, seeds.size())];
  const int64_t changes = 1 + rng.below(rng.below(4) == 0 ? 16 : 3);
  for (int64_t change = 0; change < changes && !text.empty(); ++change) {
    switch (rng.below(10)) {
      case 0:
      case 1:
        flip_bit(text, rng);
        break;
      case 2:
        set_byte(text, rng);
        break;
      case 3:
      case 4:
        set_number(text, rng);
        break;
      case 5:
      case 6:
        set_decimal(text, rng);
        break;
      case 7:
        rng.below(4) == 0 ? cut_end(text, rng) : cut_out(text, rng);
        break;
      case 8:
        repeat(text, rng);
        break;
      default:
        move_over(text, seeds[below(rng, seeds.size())], rng);
        break;
    }
  }
  text.resize(std::min(text.size(), kMaxBytes));
  return text;
}

}  // namespace softmoe::fuzz
