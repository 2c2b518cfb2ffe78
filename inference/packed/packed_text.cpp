#include "inference/packed/packed_text.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <utility>

#include "kernels/table.h"
#include "vit/text_tower.h"

namespace softmoe {
namespace {

/// For texts that are pooled at one token, the packed token of each [texts]; undefined for means.
torch::Tensor pooled_tokens(const TextOptions& options, const TextBatch& texts) {
  switch (options.pool) {
    case TextPool::kLast:
      return texts.first + texts.lengths - 1;  // [texts]
    case TextPool::kFirst:
      return texts.first;  // [texts]
    case TextPool::kEot:
      return end_tokens(texts, options.eot_token);  // [texts]
    case TextPool::kMean:
      break;
  }
  return {};
}

}  // namespace

PackedText::PackedText(const TextOptions& options, NamedTensors weights, Precision precision)
    : TextEngine(precision, torch::kCPU),
      layers_(pack_text_layers(options, std::move(weights), precision)),
      blocks_(layers_.layers) {}

torch::Tensor PackedText::embed(const torch::Tensor& ids, const torch::Tensor& lengths) {
  const auto texts = pack_texts(ids.cpu(), lengths.cpu(), options().context);
  TORCH_CHECK_VALUE(texts.ids.min().item<int64_t>() >= 0 &&
                        texts.ids.max().item<int64_t>() < options().vocab_size,
                    "PackedText: expected ids from 0 to ", options().vocab_size - 1);
  const auto ends = pooled_tokens(options(), texts);  // [texts]
  const auto* const end = ends.defined() ? ends.const_data_ptr<int64_t>() : nullptr;
  const int64_t count = texts.first.size(0);
  auto pooled = at::empty({count, dim()}, torch::kFloat32);
  auto out = layers_.projection.defined()
                 ? at::empty({count, options().embedding_dim()}, torch::kFloat32)
                 : pooled;  // [texts, embedding_dim]
  auto* const rows = pooled.data_ptr<float>();
  auto* const embeddings = out.data_ptr<float>();
  TokenContext context;
  context.sequences = texts.sequences;
  const std::scoped_lock lock(mutex_);
  blocks_.run(
      SequenceRows::of_texts(texts.sequences), context,
      [&](const ThreadTeam& team, float* x) { embed_tokens(team, texts, x); },
      [&](const ThreadTeam& team, float* x) {
        pool(team, texts, end, x, rows);
        if (layers_.projection.defined()) {
          project(team, rows, count, embeddings);
        }
      });
  return out;  // [texts, embedding_dim]
}

/// This thread's share of the tokens that the blocks begin with.
void PackedText::embed_tokens(const ThreadTeam& team, const TextBatch& texts, float* x) const {
  const auto* const id = texts.ids.const_data_ptr<int64_t>();
  const auto* const position = texts.positions.const_data_ptr<int64_t>();
  const auto* const embeddings = layers_.token_embed.const_data_ptr<float>();
  const auto* const positions = layers_.pos_embed.const_data_ptr<float>();
  const auto share = team.share(texts.ids.size(0));
  for (int64_t row = share.first; row < share.last; ++row) {
    const float* const token = embeddings + id[row] * dim();
    std::transform(token, token + dim(), positions + position[row] * dim(), x + row * dim(),
                   [](float a, float b) { return a + b; });
  }
}

/// This thread's share of the texts: one vector for each, behind the final norm.
void PackedText::pool(const ThreadTeam& team, const TextBatch& texts, const int64_t* ends, float* x,
                      float* pooled) const {
  const auto* const first = texts.first.const_data_ptr<int64_t>();
  const auto* const length = texts.lengths.const_data_ptr<int64_t>();
  const auto norm = layers_.layers.norm.rows();
  const auto share = team.share(texts.first.size(0));
  for (int64_t text = share.first; text < share.last; ++text) {
    float* const out = pooled + text * dim();
    if (ends != nullptr) {
      kernels::table().norm_rows(norm, x + ends[text] * dim(), dim(), 1, out, dim(), nullptr, 0);
    } else {
      pool_text(x + first[text] * dim(), length[text], out);
    }
  }
}

/// The mean of the normed tokens of one text, which `x` begins with; they become normed there.
void PackedText::pool_text(float* x, int64_t tokens, float* pooled) const {
  kernels::table().norm_rows(layers_.layers.norm.rows(), x, dim(), tokens, x, dim(), nullptr, 0);
  std::fill_n(pooled, dim(), 0.0F);
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t channel = 0; channel < dim(); ++channel) {
      pooled[channel] += x[token * dim() + channel] / static_cast<float>(tokens);
    }
  }
}

/// `out` [texts, embedding_dim] of this thread's share of the texts, those that it pooled.
void PackedText::project(const ThreadTeam& team, const float* pooled, int64_t texts,
                         float* out) const {
  const auto share = team.share(texts);
  const int64_t columns = options().embedding_dim();
  for_each_block(share, blocks_.block_rows(), [&](int64_t first, int64_t count) {
    const auto* const rows = reinterpret_cast<const kernels::Unit*>(pooled + first * dim());
    multiply(layers_.projection, {}, {.left = {rows, dim()}}, count,
             {.out = {.fp32 = out + first * columns}, .out_stride = columns});
  });
}

}  // namespace softmoe
