#include "eval/image_text_embeddings.h"

#include <ATen/ops/cat.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "core/error.h"
#include "core/progress.h"
#include "datasets/prompt_templates.h"
#include "runtime/autocast_guard.h"
#include "text/token_batch.h"
#include "vit/image_text_model.h"

namespace softmoe {
namespace {

constexpr int64_t kTextsAtOnce = 256;

}  // namespace

EmbeddedImages embed_images(const ImageTextEncoder& encoder, Loader& loader,
                            const BatchLoopOptions& options) {
  EmbeddedImages images;
  std::vector<torch::Tensor> embeddings;
  std::vector<torch::Tensor> labels;
  for_each_output(
      encoder.image, loader, options, [&](const Batch& batch, const torch::Tensor& output) {
        embeddings.push_back(output);
        labels.push_back(batch.labels);
        const auto* indices = batch.indices.data_ptr<int64_t>();
        images.indices.insert(images.indices.end(), indices, indices + batch.indices.numel());
      });
  images.embeddings = at::cat(embeddings);  // [images, dim]
  images.labels = at::cat(labels);          // [images], or [images, classes]
  return images;
}

void check_vocabulary(const TextOptions& options, const Tokenizer& tokenizer,
                      const std::string& where) {
  const auto entries = options.vocab_size;
  if (tokenizer.vocab_size() > entries) {
    throw InputError(
        where + ": tokenizer",
        "at most the " + std::to_string(entries) + " entries of the model's vocabulary",
        std::to_string(tokenizer.vocab_size()));
  }
}

torch::Tensor embed_texts(const ImageTextEncoder& encoder, const Tokenizer& tokenizer,
                          std::span<const std::string> texts, const BatchLoopOptions& options) {
  const c10::InferenceMode inference;
  const AutocastGuard autocast(options.device, options.dtype);
  Progress progress("Texts", std::ssize(texts), "texts");
  std::vector<torch::Tensor> embeddings;
  for (int64_t first = 0; first < std::ssize(texts); first += kTextsAtOnce) {
    if (options.before_batch) {
      options.before_batch();
    }
    const auto count = std::min(kTextsAtOnce, std::ssize(texts) - first);
    const auto part = texts.subspan(static_cast<size_t>(first), static_cast<size_t>(count));
    const auto tokens =
        encode_texts(tokenizer, part, encoder.text_options.context).to(options.device);
    embeddings.push_back(encoder.text(tokens.ids, tokens.lengths));  // [texts, dim]
    progress.update(first + count);
  }
  progress.finish();
  return at::cat(embeddings);  // [texts, dim]
}

torch::Tensor class_embeddings(const ImageTextEncoder& encoder, const Tokenizer& tokenizer,
                               const std::vector<std::string>& class_texts,
                               const std::vector<std::string>& templates,
                               const BatchLoopOptions& options) {
  std::vector<std::string> texts;
  for (const auto& name : class_texts) {
    for (const auto& sentence : templates) {
      texts.push_back(filled_template(sentence, name));
    }
  }
  const c10::InferenceMode inference;
  const auto embeddings = embed_texts(encoder, tokenizer, texts, options);  // [texts, dim]
  return of_length_one(embeddings.view({std::ssize(class_texts), std::ssize(templates), -1})
                           .mean(1));  // [classes, dim]
}

}  // namespace softmoe
