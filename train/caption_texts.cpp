#include "train/caption_texts.h"

#include <xxhash.h>

#include "core/error.h"
#include "core/rng.h"
#include "datasets/prompt_templates.h"
#include "datasets/single_labels.h"
#include "text/token_batch.h"

namespace softmoe {
namespace {

/// Images of an endless set whose texts stand for all.
constexpr int64_t kLearnedTexts = 50'000;

/// A hash: equal texts have equal numbers, in one batch or in several.
int64_t group_of(const std::string& text) {
  return static_cast<int64_t>(XXH3_64bits(text.data(), text.size()));
}

}  // namespace

CaptionTexts::CaptionTexts(const Dataset& set, std::vector<std::string> templates, uint64_t seed)
    : set_(set), templates_(std::move(templates)), class_texts_(set.class_texts()), seed_(seed) {
  if (templates_.empty() && !set.has_captions()) {
    throw UsageError(
        "--objective contrastive",
        "images with captions (--dataset captions, --caption-column), or --caption-templates",
        "a data set with labels alone");
  }
  if (!templates_.empty() && !has_single_labels(set)) {
    throw UsageError("--caption-templates", "images with one label each, of two classes or more",
                     set.is_multi_label() ? "several labels per image" : "no classes");
  }
}

std::string CaptionTexts::text(int64_t index, int64_t use) const {
  if (templates_.empty()) {
    return set_.caption(index);
  }
  Rng rng(stream_key(seed_, "template", static_cast<uint64_t>(use), static_cast<uint64_t>(index)));
  const auto& sentence = templates_[static_cast<size_t>(rng.below(std::ssize(templates_)))];
  return filled_template(sentence, class_texts_[static_cast<size_t>(set_.label(index))]);
}

int64_t CaptionTexts::group(int64_t index) const {
  return templates_.empty() ? -1 : set_.label(index);
}

void CaptionTexts::for_each(const std::function<void(const std::string& text)>& use) const {
  if (templates_.empty()) {
    const auto count = set_.endless() ? std::min(set_.size(), kLearnedTexts) : set_.size();
    for (int64_t index = 0; index < count; ++index) {
      use(set_.caption(index));
    }
    return;
  }
  for (const auto& name : class_texts_) {
    for (const auto& sentence : templates_) {
      use(filled_template(sentence, name));
    }
  }
}

std::vector<std::string> CaptionTexts::class_templates() const {
  return templates_.empty() ? std::vector<std::string>{"{}"} : templates_;
}

void add_texts(Batch& batch, int64_t number, const CaptionTexts& texts, const Tokenizer& tokenizer,
               int64_t max_tokens) {
  const auto indices = batch.indices.contiguous();  // [batch]
  const int64_t rows = indices.numel();
  std::vector<std::string> sentences;
  batch.text_groups = torch::empty({rows}, torch::kInt64);  // [batch]
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t index = indices.data_ptr<int64_t>()[row];
    sentences.push_back(texts.text(index, number));
    const int64_t group = texts.group(index);
    batch.text_groups.data_ptr<int64_t>()[row] = group >= 0 ? group : group_of(sentences.back());
  }
  const auto tokens = encode_texts(tokenizer, sentences, max_tokens);
  batch.token_ids = tokens.ids;          // [batch, tokens]
  batch.token_lengths = tokens.lengths;  // [batch]
}

}  // namespace softmoe
