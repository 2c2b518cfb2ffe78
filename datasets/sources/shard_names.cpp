#include "datasets/sources/shard_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "core/error.h"
#include "core/lower_case.h"
#include "core/split_text.h"

namespace softmoe {
namespace {

constexpr int64_t kMaxShards = 1'000'000;

[[noreturn]] void throw_bad_pattern(const std::string& pattern, const std::string& found) {
  throw UsageError("'" + printable_text(pattern) + "'",
                   "names of shards such as train-{0000..0146}.tar or {a,b}.tar", found);
}

/// The bound of a range; std::nullopt if `text` is no number.
std::optional<int64_t> bound_of(std::string_view text) {
  int64_t number = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_whole = end.ec == std::errc() && end.ptr == text.data() + text.size();
  return is_whole && number >= 0 ? std::optional(number) : std::nullopt;
}

/// What {`inside`} stands for.
std::vector<std::string> alternatives(const std::string& inside, const std::string& pattern) {
  const auto dots = inside.find("..");
  if (dots == inside.npos) {
    auto texts = split_text(inside, ',');
    if (inside.ends_with(',') || inside.empty()) {
      texts.emplace_back();
    }
    return texts;
  }
  const auto low = inside.substr(0, dots);
  const auto first = bound_of(low);
  const auto last = bound_of(std::string_view(inside).substr(dots + 2));
  if (!first || !last || *last < *first || *last - *first >= kMaxShards) {
    throw_bad_pattern(pattern, "the range {" + printable_text(inside) + "}");
  }
  std::vector<std::string> texts;
  for (int64_t number = *first; number <= *last; ++number) {
    texts.push_back(fmt::format("{:0{}}", number, low.size()));
  }
  return texts;
}

}  // namespace

bool is_pipe(const std::string& text) { return text.starts_with("pipe:"); }

bool is_shard_name(const std::filesystem::path& path) {
  constexpr std::array kEndings{".tar", ".tar.gz",  ".tgz",    ".tar.bz2",
                                ".tbz", ".tar.zst", ".tar.xz", ".txz"};
  const auto name = lower_case(path.filename().string());
  return std::any_of(kEndings.begin(), kEndings.end(),
                     [&](const char* ending) { return name.ends_with(ending); });
}

std::vector<std::string> expand_braces(const std::string& pattern) {
  const auto open = pattern.find('{');
  if (open == pattern.npos) {
    return {pattern};
  }
  const auto close = pattern.find('}', open);
  if (close == pattern.npos || pattern.find('{', open + 1) < close) {
    throw_bad_pattern(pattern, "a brace that is not closed, or braces within braces");
  }
  const auto before = pattern.substr(0, open);
  const auto rest = expand_braces(pattern.substr(close + 1));
  const auto texts = alternatives(pattern.substr(open + 1, close - open - 1), pattern);
  if (std::ssize(texts) * std::ssize(rest) > kMaxShards) {
    throw_bad_pattern(pattern, fmt::format("more than {} names", kMaxShards));
  }
  std::vector<std::string> found;
  for (const auto& text : texts) {
    for (const auto& end : rest) {
      found.push_back(before + text + end);
    }
  }
  return found;
}

}  // namespace softmoe
