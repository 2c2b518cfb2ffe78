#include "eval/zero_shot.h"

#include <c10/core/InferenceMode.h>

#include <utility>

#include "checkpoints/image_text_checkpoint.h"
#include "core/error.h"
#include "datasets/single_labels.h"
#include "eval/evaluate.h"
#include "text/tokenizer_file.h"
#include "text/tokenizers.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// The vocabulary beside a foreign checkpoint.
std::unique_ptr<Tokenizer> tokenizer_beside(const std::string& checkpoint) {
  const auto folder =
      fs::is_directory(checkpoint) ? fs::path(checkpoint) : fs::path(checkpoint).parent_path();
  try {
    return read_tokenizer(folder.empty() ? fs::path(".") : folder);
  } catch (const InputError& error) {
    throw InputError(checkpoint + ": its vocabulary is missing, name it by --tokenizer (" +
                     std::string(error.what()) + ")");
  }
}

}  // namespace

ZeroShotModel open_zero_shot_model(const std::string& checkpoint,
                                   const std::string& tokenizer_file) {
  if (!is_image_text_file(checkpoint)) {
    throw InputError(checkpoint,
                     "a model of images and texts (softmoe train --objective contrastive)",
                     "another model");
  }
  auto loaded = open_image_text_weights(checkpoint);
  ZeroShotModel result{.weights = std::move(loaded.weights),
                       .description = std::move(loaded.description),
                       .tokenizer = {}};
  if (loaded.metadata.is_object()) {
    result.metadata = std::move(loaded.metadata);
  }
  const auto& stored = result.description.tokenizer;
  if (!tokenizer_file.empty()) {
    result.tokenizer = read_tokenizer(tokenizer_file);
  } else if (!stored.kind.empty()) {
    result.tokenizer = make_tokenizer(stored.kind, stored.data, checkpoint);
  } else {
    result.tokenizer = tokenizer_beside(checkpoint);
  }
  check_vocabulary(result.description.options.text, *result.tokenizer,
                   tokenizer_file.empty() ? checkpoint : tokenizer_file);
  return result;
}

ClassificationResult zero_shot_classification(const ZeroShotAsker& asker, const Dataset& set,
                                              const std::vector<std::string>& templates,
                                              Loader& loader, const BatchLoopOptions& loop) {
  if (!has_single_labels(set)) {
    throw UsageError("data set", "one label for each image, of two classes or more",
                     set.is_multi_label() ? "several labels per image"
                                          : std::to_string(set.class_names().size()));
  }
  const auto classes =
      class_embeddings(asker.encoder, asker.tokenizer, set.class_texts(), templates,
                       loop);  // [classes, dim]
  return evaluate(
      [&](const torch::Tensor& images) {
        return asker.encoder.logits(asker.encoder.image(images), classes);
      },
      loader, std::ssize(set.class_names()), Likelihood::kSoftmax, loop);
}

RetrievalResult zero_shot_retrieval(const ZeroShotAsker& asker, const Dataset& set, Loader& loader,
                                    const BatchLoopOptions& loop) {
  if (!set.has_captions()) {
    throw UsageError("data set", "images with captions", "none");
  }
  const c10::InferenceMode inference;
  const auto images = embed_images(asker.encoder, loader, loop);
  const auto index = CaptionIndex::of(std::ssize(images.indices), [&](int64_t image) {
    return set.caption(images.indices[static_cast<size_t>(image)]);
  });
  const auto texts =
      embed_texts(asker.encoder, asker.tokenizer, index.texts, loop);  // [texts, dim]
  return retrieval(images.embeddings, texts, index.text_of);
}

}  // namespace softmoe
