#include "checkpoints/convert/guess_positions.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "checkpoints/convert/read_config.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// The usual size of images.
constexpr int64_t kUsualEdge = 224;

std::optional<int64_t> square_root(int64_t count) {
  const auto root = static_cast<int64_t>(std::llround(std::sqrt(static_cast<double>(count))));
  return count > 0 && root * root == count ? std::optional(root) : std::nullopt;
}

/// Returns true if the image size of `options` fits a table of `entries` positions.
bool fits(const VitOptions& options, int64_t entries) {
  const auto& size = options.img_size;
  if (size.empty() || size.size() > 2 || size.front() < 1 || size.back() < 1 ||
      size.front() % options.patch_size != 0 || size.back() % options.patch_size != 0) {
    return false;
  }
  return entries == options.patches() || entries == options.patches() + options.prefix_tokens();
}

/// Throws if the size that the user gave does not fit a table of `entries` positions.
void check_given(const ForeignWeights& weights, const VitOptions& options, int64_t entries) {
  if (fits(options, entries)) {
    return;
  }
  const int64_t prefix = options.prefix_tokens();
  throw UsageError(
      weights.where() + ": --from-img-size",
      fmt::format("a multiple of {} px, or two, whose patches make {} of the {} positions",
                  options.patch_size,
                  prefix == 0 ? "all" : fmt::format("all or all but {}", prefix), entries),
      fmt::format("{}", fmt::join(options.img_size, " ")));
}

/// Sets the size of square images with `entries` positions.
void guess_square(const ForeignWeights& weights, int64_t entries, VitOptions& options,
                  ReadingNotes& notes) {
  const int64_t prefix = options.prefix_tokens();
  const auto without_prefix = square_root(entries - prefix);
  const auto whole = square_root(entries);
  if (!without_prefix && !whole) {
    throw InputError(
        weights.place("pos_embed"),
        "positions of a square grid, or the size of images by softmoe convert --from-img-size",
        fmt::format("{} positions with {} prefix tokens", entries, prefix));
  }
  // If both are possible, the family's own code decides.
  options.pos_embed_prefix = without_prefix && (!whole || weights.family().code.prefix_positions);
  const int64_t edge = options.pos_embed_prefix ? *without_prefix : *whole;
  options.img_size = {edge * options.patch_size};
  notes.assume("from-img-size", std::to_string(options.img_size.front()),
               fmt::format("{} positions, a square", edge * edge));
  if (without_prefix && whole && prefix > 0) {
    notes.assume("pos-embed-prefix", options.pos_embed_prefix ? "true" : "false",
                 fmt::format("family {}", weights.family().name));
  }
}

/// Sets positions that are not learned.
void guess_fixed(bool size_is_known, VitOptions& options, ReadingNotes& notes) {
  options.pos_embed = PositionEmbedding::kSinCos2d;
  notes.choose("pos-embed", "sincos2d", "no learned positions in the file");
  if (!size_is_known) {
    const int64_t edge = std::max<int64_t>(1, kUsualEdge / options.patch_size);
    options.img_size = {edge * options.patch_size};
    notes.assume("from-img-size", std::to_string(options.img_size.front()),
                 "no positions that tell it");
  }
}

}  // namespace

void guess_positions(const ForeignWeights& weights, const Json& config,
                     const std::vector<int64_t>& img_size, VitOptions& options,
                     ReadingNotes& notes) {
  const auto known =
      img_size.empty() ? config_image_size(config, weights.where()) : std::optional(img_size);
  options.img_size = known.value_or(std::vector<int64_t>{kUsualEdge});
  if (!weights.has("pos_embed") && weights.family().code.fixed_positions) {
    guess_fixed(known.has_value(), options, notes);
    return;
  }
  const int64_t entries = weights.tensor("pos_embed", 3).size(1);
  if (!img_size.empty()) {
    check_given(weights, options, entries);
  }
  if (known && fits(options, entries)) {
    options.pos_embed_prefix = entries != options.patches();
  } else {
    guess_square(weights, entries, options, notes);
  }
  if (options.prefix_tokens() == 0) {
    options.pos_embed_prefix = true;
  } else {
    notes.choose("pos-embed-prefix", options.pos_embed_prefix ? "true" : "false",
                 fmt::format("{} positions, {} patches", entries, options.patches()));
  }
}

}  // namespace softmoe
