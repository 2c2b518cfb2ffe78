#include "vit/moe_blocks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/split_text.h"

namespace softmoe {
namespace {

/// The number that follows `prefix` in `text`, or nothing.
std::optional<int64_t> number_after(const std::string& text, const std::string& prefix) {
  if (!text.starts_with(prefix) || text.size() == prefix.size() || text.size() > 9) {
    return std::nullopt;
  }
  const std::string digits = text.substr(prefix.size());
  if (digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::stoll(digits);
}

}  // namespace

std::vector<bool> moe_block_mask(const std::string& moe_blocks, int64_t depth) {
  std::vector<bool> mask(static_cast<size_t>(depth), false);
  const auto fill_from = [&](int64_t first) {
    std::fill(mask.begin() + first, mask.end(), true);
    return mask;
  };
  if (moe_blocks == "none") {
    return mask;
  }
  if (moe_blocks == "all") {
    return fill_from(0);
  }
  if (moe_blocks == "last_half") {
    return fill_from(depth - depth / 2);
  }
  if (const auto count = number_after(moe_blocks, "last_");
      count && *count >= 1 && *count <= depth) {
    return fill_from(depth - *count);
  }
  if (const auto step = number_after(moe_blocks, "every_"); step && *step >= 1 && *step <= depth) {
    for (int64_t block = *step - 1; block < depth; block += *step) {
      mask[static_cast<size_t>(block)] = true;
    }
    return mask;
  }
  // With a comma behind the list an empty last item is seen too.
  for (const auto& item : split_text(moe_blocks + ",", ',')) {
    const auto block = number_after(item, "");
    if (!block || *block >= depth) {
      throw UsageError("moe-blocks",
                       "none, all, last_half, last_N or every_N with N from 1 to " +
                           std::to_string(depth) + ", or blocks below that such as 1,3,5",
                       "'" + moe_blocks + "'");
    }
    mask[static_cast<size_t>(*block)] = true;
  }
  return mask;
}

std::string moe_blocks_text(const std::vector<bool>& mask) {
  const auto depth = std::ssize(mask);
  std::vector<std::string> candidates{"none", "all", "last_half"};
  for (int64_t count = 1; count <= depth; ++count) {
    candidates.push_back(fmt::format("last_{}", count));
    candidates.push_back(fmt::format("every_{}", count));
  }
  for (const auto& text : candidates) {
    if (moe_block_mask(text, depth) == mask) {
      return text;
    }
  }
  std::vector<int64_t> blocks;
  for (int64_t block = 0; block < depth; ++block) {
    if (mask[static_cast<size_t>(block)]) {
      blocks.push_back(block);
    }
  }
  return fmt::format("{}", fmt::join(blocks, ","));
}

}  // namespace softmoe
