#include "train/image_text_run.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <utility>

#include "checkpoints/image_text_checkpoint.h"
#include "checkpoints/image_tower.h"
#include "checkpoints/load_into.h"
#include "core/error.h"
#include "datasets/prompt_templates.h"
#include "train/run_vocabulary.h"
#include "vit/image_text_zoo.h"

namespace softmoe {
namespace {

/// Entries of a vocabulary that is learned from the training texts, unless the user says otherwise.
constexpr int64_t kLearnedVocabulary = 4096;

/// Throws UsageError for options of a run that the objective does not go with.
void check_other_options(const RunOptions& run) {
  const auto refuse = [](bool is_given, const std::string& flag, const std::string& expected) {
    if (is_given) {
      throw UsageError(flag, expected + " with --objective contrastive", "another value");
    }
  };
  refuse(run.mixup.mixup > 0 || run.mixup.cutmix > 0, "--mixup, --cutmix", "0");
  refuse(!run.train.image_size_schedule.empty(), "--image-size-schedule", "one size");
  refuse(!run.train.fit_memory.empty(), "--fit-memory", "no limit");
  refuse(run.optimizer.layer_decay != 1.0, "--layer-decay", "1");
  refuse(run.optimizer.sam_rho != 0.0, "--sam-rho", "0");
  const auto& contrastive = run.objectives.contrastive;
  if (contrastive.lock_image && contrastive.image_init.empty()) {
    throw UsageError("--lock-image", "--image-init with the weights to keep", "none");
  }
}

}  // namespace

void ImageTextRun::complete(Batch& batch, int64_t number, const torch::Device& device) const {
  if (features) {
    batch.features = features->of(batch.indices).to(device);  // [batch, feature_dim]
  }
  add_texts(batch, number, *train_texts, *tokenizer, description.options.text.context);
  batch.token_ids = batch.token_ids.to(device);          // [batch, tokens]
  batch.token_lengths = batch.token_lengths.to(device);  // [batch]
  batch.text_groups = batch.text_groups.to(device);      // [batch]
}

void ImageTextRun::set_training(bool training) {
  model->train(training);
  if (lock_image) {
    model->image->eval();
  }
}

std::string tokenizer_digest(const StoredTokenizer& tokenizer) {
  const auto text = tokenizer.kind + "\n" + tokenizer.data;
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

std::optional<LoadedWeights> read_image_init(const ContrastiveOptions& options) {
  return options.image_init.empty() ? std::nullopt
                                    : std::optional(open_weights(options.image_init));
}

ImageTextOptions image_text_options(const std::string& name,
                                    const std::optional<LoadedWeights>& image_init) {
  if (!is_image_text_name(name)) {
    throw UsageError("--model",
                     "a model of images and texts with --objective contrastive (clip_ or siglip_ "
                     "before the name of an image model, such as siglip_vit_ti16)",
                     name);
  }
  auto towers = image_text_preset(name);
  if (image_init) {
    towers.image = image_init->description.options;
    towers.image.num_classes = 0;
    towers.image.dist_token = false;
    towers.image_projection = true;
  }
  return towers;
}

std::shared_ptr<ImageTextRun> image_text_run(const std::string& name, ImageTextOptions towers,
                                             std::optional<LoadedWeights> image_init,
                                             RunOptions& run, const TrainingData& data,
                                             const std::set<std::string>& keep) {
  check_other_options(run);
  const auto& options = run.objectives.contrastive;
  const auto templates =
      options.templates.empty() ? std::vector<std::string>() : prompt_templates(options.templates);
  const auto seed = static_cast<uint64_t>(run.train.seed);
  auto result = std::make_shared<ImageTextRun>();
  auto texts = std::make_shared<CaptionTexts>(*data.train, templates, seed);
  result->tokenizer =
      run_tokenizer(options.tokenizer,
                    keep.contains("text-vocab-size") ? towers.text.vocab_size : kLearnedVocabulary,
                    [&texts](const auto& use) { texts->for_each(use); });
  result->train_texts = std::move(texts);
  result->val_texts = std::make_shared<CaptionTexts>(*data.val, templates, seed);
  towers.image.num_classes = 0;
  fit_vocabulary(towers.text, *result->tokenizer, keep);
  if (!keep.contains("text-context")) {
    towers.text.context = result->tokenizer->usual_tokens();
  }
  towers.has_logit_bias = options.loss == ContrastiveLoss::kSigmoid;
  validate(towers);
  result->model = make_image_text_model(towers, run.train.seed);
  result->description = {
      .name = name,
      .options = towers,
      .preprocess = run.preprocess,
      .tokenizer = {std::string(result->tokenizer->kind()), result->tokenizer->data()}};
  if (image_init) {
    load_into(*result->model->image, without_heads(std::move(image_init->weights)),
              options.image_init);
  }
  if (options.lock_image) {
    run.trainable.freeze.emplace_back("^image\\.");
    result->lock_image = true;
  }
  return result;
}

TrainingStart start_of(const ImageTextRun& run) {
  return {.model_name = run.description.name,
          .resize_mode = run.description.resize_mode,
          .model = run.model->image};
}

}  // namespace softmoe
