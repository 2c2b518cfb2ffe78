#pragma once
/// Models of images and texts on data sets that they were not trained on.

#include <memory>
#include <string>
#include <vector>

#include "checkpoints/image_text_description.h"
#include "eval/image_text_embeddings.h"
#include "eval/metrics.h"
#include "eval/retrieval.h"

namespace softmoe {

/// A model of images and texts with what makes its inputs, in evaluation mode.
struct ZeroShotModel {
  ImageTextModel model{nullptr};
  ImageTextDescription description;
  std::unique_ptr<Tokenizer> tokenizer;
  Json metadata = Json::object();  ///< of a native checkpoint, else empty
};

/// Reads a native checkpoint, or a file of open_clip or Hugging Face, onto `device`. The vocabulary
/// is that of `tokenizer_file` if that is given, else that of the checkpoint, or a file beside a
/// foreign one. Throws InputError that names the file.
ZeroShotModel open_zero_shot_model(const std::string& checkpoint, const std::string& tokenizer_file,
                                   const torch::Device& device);

/// Classifies the images of `loader`, one of `set`: by the class whose embedding
/// (class_embeddings()) is nearest. Throws UsageError if the set has less than two classes or
/// several labels per image.
ClassificationResult zero_shot_classification(ZeroShotModel& model, const Dataset& set,
                                              const std::vector<std::string>& templates,
                                              Loader& loader, const BatchLoopOptions& loop);

/// Finds the captions of the images of `loader`, one of `set`, and the images of captions. Throws
/// UsageError if the set has no captions.
RetrievalResult zero_shot_retrieval(ZeroShotModel& model, const Dataset& set, Loader& loader,
                                    const BatchLoopOptions& loop);

}  // namespace softmoe
