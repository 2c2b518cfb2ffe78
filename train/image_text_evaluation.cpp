#include "train/image_text_evaluation.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "datasets/single_labels.h"
#include "eval/image_text_embeddings.h"
#include "train/contrastive_objective.h"

namespace softmoe {
namespace {

/// The mean loss of batches of `batch_size` in the order of the images.
double mean_loss(const ImageTextModelImpl& model, const torch::Tensor& images,
                 const torch::Tensor& texts, const torch::Tensor& text_of, int64_t batch_size,
                 const ObjectiveOptions& objectives) {
  double sum = 0.0;
  int64_t batches = 0;
  for (int64_t first = 0; first < images.size(0); first += batch_size) {
    const int64_t end = std::min(first + batch_size, images.size(0));
    const auto own = text_of.slice(0, first, end);  // [batch]
    sum += contrastive_loss(objectives, {.images = images.slice(0, first, end),
                                         .texts = texts.index_select(0, own),
                                         .log_scale = model.logit_scale,
                                         .bias = model.logit_bias,
                                         .groups = own})
               .item<double>();
    ++batches;
  }
  return sum / static_cast<double>(batches);
}

/// Zero-shot classification of embedded images.
ClassificationResult classify(const ImageTextRun& run, const ImageTextEncoder& encoder,
                              const Dataset& set, const EmbeddedImages& images,
                              const BatchLoopOptions& loop) {
  const auto classes = class_embeddings(encoder, *run.tokenizer, set.class_texts(),
                                        run.val_texts->class_templates(), loop);  // [classes, dim]
  ClassificationMetrics metrics(std::ssize(set.class_names()));
  metrics.add(encoder.logits(images.embeddings, classes), images.labels);
  return metrics.result();
}

}  // namespace

ImageTextEvaluation evaluate_image_text(const ImageTextRun& run, ImageTextModelImpl& model,
                                        const Dataset& set, const Transform& transform,
                                        LoaderOptions loader, const ObjectiveOptions& objectives,
                                        const BatchLoopOptions& loop) {
  const c10::InferenceMode inference;
  loader.shuffle = false;
  loader.drop_last = false;
  Loader batches(set, transform, loader);
  const auto encoder = encoder_of(model);
  const auto images = embed_images(encoder, batches, loop);
  const auto index = CaptionIndex::of(std::ssize(images.indices), [&](int64_t image) {
    return run.val_texts->text(images.indices[static_cast<size_t>(image)], /*use=*/0);
  });
  const auto texts = embed_texts(encoder, *run.tokenizer, index.texts, loop);  // [texts, dim]
  const auto text_of =
      torch::tensor(index.text_of, torch::kInt64).to(images.embeddings.device());  // [images]
  ImageTextEvaluation evaluation;
  if (set.has_captions()) {
    evaluation.retrieval = retrieval(images.embeddings, texts, index.text_of);
  }
  if (has_single_labels(set)) {
    evaluation.result = classify(run, encoder, set, images, loop);
  } else {
    evaluation.result.examples = images.embeddings.size(0);
    evaluation.result.top1 = evaluation.retrieval ? evaluation.retrieval->mean(1) : 0.0;
    evaluation.result.top5 = evaluation.retrieval ? evaluation.retrieval->mean(5) : 0.0;
  }
  evaluation.result.loss =
      mean_loss(model, images.embeddings, texts, text_of, loader.batch_size, objectives);
  return evaluation;
}

}  // namespace softmoe
