#pragma once
/// Runs that learn from images with texts: what `--objective contrastive` adds to a training run.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "checkpoints/image_text_description.h"
#include "checkpoints/open_model.h"
#include "text/tokenizer.h"
#include "train/caption_texts.h"
#include "train/locked_features.h"
#include "train/training_data.h"
#include "train/training_start.h"
#include "vit/image_text_model.h"

namespace softmoe {

/// What a run that learns from images with texts consists of beside its options and data.
struct ImageTextRun {
  ImageTextModel model{nullptr};  ///< whose image tower is TrainingStart::model
  ImageTextDescription description;
  std::shared_ptr<const Tokenizer> tokenizer;
  std::shared_ptr<const CaptionTexts> train_texts;
  std::shared_ptr<const CaptionTexts> val_texts;
  bool lock_image = false;
  /// Of a locked image tower without augmentation: null until the run begins, and for others.
  std::shared_ptr<const LockedFeatures> features = {};

  /// Adds texts, and features if they were computed before, to training batch `number`, and moves
  /// them to `device`.
  void complete(Batch& batch, int64_t number, const torch::Device& device) const;
  /// Sets all parts that learn to training or evaluation; a locked tower stays in evaluation.
  void set_training(bool training);
};

/// The model of `options.image_init`; nothing if none is given.
std::optional<LoadedWeights> read_image_init(const ContrastiveOptions& options);

/// The options of the towers of a model called `name`: those of the zoo, with an image tower of the
/// shape of `image_init` if that is given. Throws UsageError that names `--model`.
ImageTextOptions image_text_options(const std::string& name,
                                    const std::optional<LoadedWeights>& image_init);

/// XXH3-64 of the vocabulary, to notice another one when a run resumes.
std::string tokenizer_digest(const StoredTokenizer& tokenizer);

/// Makes the tokenizer, fits the options of the text tower `towers.text` to it unless their names
/// are in `keep`, makes the model with initial weights, those of the image tower of `image_init` if
/// that is given, and locks parts of it in `run`. Throws
/// UsageError for options that contradict each other, InputError for bad files.
std::shared_ptr<ImageTextRun> image_text_run(const std::string& name, ImageTextOptions towers,
                                             std::optional<LoadedWeights> image_init,
                                             RunOptions& run, const TrainingData& data,
                                             const std::set<std::string>& keep);

/// The start of a run of `run`.
TrainingStart start_of(const ImageTextRun& run);

}  // namespace softmoe
