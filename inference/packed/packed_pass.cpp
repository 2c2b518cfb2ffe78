#include "inference/packed/packed_pass.h"

#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <utility>

#include "kernels/table.h"
#include "softmoe/routers.h"
#include "vit/patch_embed.h"

namespace softmoe {
namespace {

/// What routers know of the tokens of `batch` images `images`.
TokenContext context_of(const VitOptions& options, const float* images, int64_t batch) {
  if (!has_moe(options) || !router_row(options.moe.router).reads_patches) {
    return {};
  }
  const auto pixels = at::from_blob(
      const_cast<float*>(images),
      {batch, options.in_chans, options.image_height(), options.image_width()}, torch::kFloat32);
  return {.patches = image_patches(pixels, options)};  // [batch, patches, pixels]
}

}  // namespace

PackedPass::PackedPass(PackedLayers layers)
    : layers_(std::move(layers)),
      blocks_(layers_),
      embedding_(layers_, blocks_.block_rows()),
      head_(layers_) {}

void PackedPass::reserve(int64_t threads) {
  if (threads == std::ssize(thread_memory_)) {
    return;
  }
  arena_.lay_out([&](Arena& arena) {
    thread_memory_.clear();
    for (int64_t thread = 0; thread < threads; ++thread) {
      thread_memory_.push_back(
          {.embedding = embedding_.take_scratch(arena), .head = head_.take_scratch(arena)});
    }
  });
}

/// Embeds `images`, runs all blocks, and then `finish`.
void PackedPass::run(const float* images, int64_t batch, const BlockPass::Step& finish) {
  reserve(at::get_num_threads());
  blocks_.run(
      SequenceRows::of_images(batch, layers_.options.tokens()),
      context_of(layers_.options, images, batch),
      [&](const ThreadTeam& team, float* x) {
        embedding_.run(team, images, batch, memory_of(team).embedding, x);
      },
      finish);
}

void PackedPass::run_features(const float* images, int64_t batch, float* features) {
  run(images, batch, [&](const ThreadTeam& team, float* x) {
    head_.pool(team, x, batch, memory_of(team).head, features);
  });
}

void PackedPass::run_tokens(const float* images, int64_t batch, float* tokens) {
  const int64_t dim = layers_.options.dim;
  run(images, batch, [&](const ThreadTeam& team, float* x) {
    const auto share = team.share(batch * layers_.options.tokens());
    const int64_t at = share.first * dim;
    const int64_t count = share.last - share.first;
    if (layers_.options.final_norm == FinalNorm::kTokens) {
      kernels::table().norm_rows(layers_.norm.rows(), x + at, dim, count, tokens + at, dim, nullptr,
                                 0);
    } else {
      std::copy_n(x + at, count * dim, tokens + at);
    }
  });
}

void PackedPass::run_pooled(const float* pooled, int64_t batch, float* features) {
  head_.finish(pooled, batch, thread_memory_.front().head, features);
}

void PackedPass::run_head(const float* features, int64_t batch, float* logits) {
  head_.run(features, batch, logits);
}

}  // namespace softmoe
