#include "inference/packed/embedding_pass.h"

#include <algorithm>
#include <cstring>

#include "inference/packed/portion.h"
#include "kernels/table.h"

namespace softmoe {
namespace {

/// Copies the pixels [in_chans, patch size, patch size] of patch `index` of an image.
void copy_patch(const VitOptions& options, const float* image, int64_t index, float* target) {
  const int64_t size = options.patch_size;
  const int64_t width = options.image_width();
  const int64_t plane = options.image_height() * width;
  const int64_t row = index / options.grid_width();
  const int64_t column = index % options.grid_width();
  const float* const corner = image + (row * width + column) * size;
  for (int64_t channel = 0; channel < options.in_chans; ++channel) {
    for (int64_t line = 0; line < size; ++line) {
      std::memcpy(target, corner + channel * plane + line * width,
                  static_cast<size_t>(size) * sizeof(float));
      target += size;
    }
  }
}

int64_t patch_pixels(const VitOptions& options) {
  return options.in_chans * options.patch_size * options.patch_size;
}

}  // namespace

EmbeddingPass::Scratch EmbeddingPass::take_scratch(Arena& arena) const {
  const int64_t pixels = patch_pixels(layers_.options);
  return {.pixels = take_rows(arena, layers_.patch.precision(), block_rows_, pixels),
          .patch = arena.take<float>(pixels)};
}

/// Patches [first, first + count) of one image, whose tokens are `x`.
void EmbeddingPass::embed_patches(const float* image, int64_t first, int64_t count,
                                  const Scratch& scratch, float* x) const {
  const auto& options = layers_.options;
  const int64_t pixels = patch_pixels(options);
  for (int64_t index = 0; index < count; ++index) {
    copy_patch(options, image, first + index, scratch.patch);
    kernels::table().encode_row(layers_.patch.precision(), {.fp32 = scratch.patch}, pixels, 1.0F,
                                scratch.pixels.part(index, 1).units());
  }
  const int64_t token = options.prefix_tokens() + first;
  float* const out = x + token * options.dim;
  std::memcpy(out, layers_.positions.const_data_ptr<float>() + token * options.dim,
              static_cast<size_t>(count * options.dim) * sizeof(float));
  multiply(layers_.patch, {}, operand_of(layers_.patch, scratch.pixels.part(0, count), pixels, {}),
           count, {.out = {.fp32 = out}, .out_stride = options.dim, .accumulate = true});
}

void EmbeddingPass::run(const ThreadTeam& team, const float* images, int64_t batch,
                        const Scratch& scratch, float* x) const {
  const auto& options = layers_.options;
  const int64_t dim = options.dim;
  const int64_t patches = options.patches();
  const int64_t image_values = options.in_chans * options.image_height() * options.image_width();
  const int64_t token_values = options.tokens() * dim;
  const auto share = team.share(batch * patches);
  for (int64_t at = share.first; at < share.last;) {
    const int64_t image = at / patches;
    const int64_t last = std::min(share.last, (image + 1) * patches);
    for_each_block({at, last}, block_rows_, [&](int64_t first, int64_t count) {
      embed_patches(images + image * image_values, first - image * patches, count, scratch,
                    x + image * token_values);
    });
    at = last;
  }
  const auto of_images = team.share(batch);
  for (int64_t image = of_images.first; image < of_images.last; ++image) {
    std::memcpy(x + image * token_values, layers_.positions.const_data_ptr<float>(),
                static_cast<size_t>(options.prefix_tokens() * dim) * sizeof(float));
  }
  // From here on the rows of x are divided among the threads differently.
  team.barrier();
  if (layers_.pre_norm.defined()) {
    const auto of_rows = team.share(batch * options.tokens());
    float* const rows = x + of_rows.first * dim;
    kernels::table().norm_rows(layers_.pre_norm.rows(), rows, dim, of_rows.last - of_rows.first,
                               rows, dim, nullptr, 0);
  }
}

}  // namespace softmoe
