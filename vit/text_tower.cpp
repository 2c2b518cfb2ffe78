#include "vit/text_tower.h"

#include <algorithm>

#include "ops/initialization.h"
#include "runtime/profiler.h"

namespace softmoe {

TextTowerImpl::TextTowerImpl(TextOptions options) : options_(std::move(options)) {
  validate(options_);
  TextTowerImpl::reset();
}

void TextTowerImpl::reset() {
  token_embed_ =
      register_parameter("token_embed", torch::empty({options_.vocab_size, options_.dim}));
  pos_embed_ = register_parameter("pos_embed", torch::empty({options_.context, options_.dim}));
  // As CLIP starts (arXiv:2103.00020, released code).
  init_normal(token_embed_, 0.02);
  init_normal(pos_embed_, 0.01);
  blocks_ = register_module("blocks", make_blocks(block_options(options_)));
  norm_ = register_module("norm", LayerNorm(options_.dim, options_.norm_eps));
  if (options_.embed_dim > 0) {
    projection_ = register_module(
        "projection", Linear(options_.dim, options_.embed_dim, options_.projection_bias));
    init_normal(projection_->weight, 1.0 / std::sqrt(static_cast<double>(options_.dim)));
  }
}

torch::Tensor TextTowerImpl::run_blocks(const TextBatch& texts, RoutingRecords* records) {
  auto tokens = [&] {
    const ProfilePart part("embed");
    const auto embedded = torch::embedding(token_embed_, texts.ids) +
                          torch::embedding(pos_embed_, texts.positions);  // [tokens, dim]
    return torch::dropout(embedded, options_.drop, is_training()).unsqueeze(0);
  }();  // [1, tokens, dim]
  TokenContext context;
  context.sequences = texts.sequences;
  context.sequences.causal = options_.causal;
  for (int64_t index = 0; index < options_.depth; ++index) {
    const ProfilePart part([index] { return "blocks." + std::to_string(index); });
    auto& block = block_of(blocks_, index);
    const bool keep = records != nullptr && block.has_moe();
    tokens = run_block(block, tokens, context, keep ? &(*records)[index] : nullptr,
                       grad_checkpointing_);  // [1, tokens, dim]
  }
  return tokens.squeeze(0);  // [tokens, dim]
}

torch::Tensor TextTowerImpl::pool(const torch::Tensor& tokens, const TextBatch& texts) {
  switch (options_.pool) {
    case TextPool::kLast:
      return norm_(tokens.index_select(0, texts.first + texts.lengths - 1));  // [batch, dim]
    case TextPool::kFirst:
      return norm_(tokens.index_select(0, texts.first));  // [batch, dim]
    case TextPool::kEot:
      return norm_(tokens.index_select(0, end_tokens(texts, options_.eot_token)));  // [batch, dim]
    case TextPool::kMean:
      break;
  }
  const auto normed = norm_(tokens);  // [tokens, dim]
  std::vector<torch::Tensor> means;
  for (const auto& run : split_runs(normed, texts.sequences)) {
    means.push_back(run.mean(1));  // [count, dim]
  }
  return torch::cat(means).index_select(0, texts.place);  // [batch, dim]
}

torch::Tensor TextTowerImpl::forward(const torch::Tensor& ids, const torch::Tensor& lengths,
                                     RoutingRecords* records) {
  const auto texts = pack_texts(ids, lengths, options_.context);
  const auto tokens = run_blocks(texts, records);  // [tokens, dim]
  const ProfilePart part("head");
  const auto pooled = pool(tokens, texts);  // [batch, dim]
  return projection_ ? projection_(pooled) : pooled;
}

torch::Tensor TextTowerImpl::forward_tokens(const torch::Tensor& ids, const torch::Tensor& lengths,
                                            RoutingRecords* records) {
  const auto texts = pack_texts(ids, lengths, options_.context);
  const auto normed = packed_tokens(texts, records);  // [tokens, dim]
  return torch::zeros({ids.numel(), options_.dim}, normed.options())
      .index_copy(0, texts.cells, normed)
      .view({ids.size(0), ids.size(1), options_.dim});  // [batch, width, dim]
}

torch::Tensor TextTowerImpl::packed_tokens(const TextBatch& texts, RoutingRecords* records) {
  return norm_(run_blocks(texts, records));  // [tokens, dim]
}

RoutingRecords TextTowerImpl::routing_records(const RoutingWants& wants) const {
  return records_of(blocks_, wants);
}

torch::Tensor end_tokens(const TextBatch& texts, int64_t eot_token) {
  const auto ids = texts.ids.cpu();
  const auto first = texts.first.cpu();
  const auto lengths = texts.lengths.cpu();
  const int64_t* const id = ids.const_data_ptr<int64_t>();
  std::vector<int64_t> ends;
  for (int64_t text = 0; text < first.size(0); ++text) {
    const int64_t* const begin = id + first.const_data_ptr<int64_t>()[text];
    const int64_t* const end = begin + lengths.const_data_ptr<int64_t>()[text];
    const int64_t* found =
        eot_token == kLargestId ? std::max_element(begin, end) : std::find(begin, end, eot_token);
    ends.push_back(std::min(found, end - 1) - id);
  }
  return torch::tensor(ends, torch::kInt64).to(texts.ids.device());  // [batch]
}

void append_text_records(RoutingRecords& images, RoutingRecords records, int64_t depth) {
  for (auto& [block, record] : records) {
    images.emplace(block + depth, std::move(record));
  }
}

}  // namespace softmoe
