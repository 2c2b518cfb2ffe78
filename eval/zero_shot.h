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

/// A model of images and texts as its file has it, with what makes its inputs.
struct ZeroShotModel {
  NamedTensors weights;
  ImageTextDescription description;
  std::unique_ptr<Tokenizer> tokenizer;
  Json metadata = Json::object();  ///< of a native checkpoint, else empty
};

/// What asks a model of images and texts; both must outlive it.
struct ZeroShotAsker {
  const ImageTextEncoder& encoder;
  const Tokenizer& tokenizer;
};

/// Reads a native checkpoint, or a file of open_clip or Hugging Face. The vocabulary is that of
/// `tokenizer_file` if that is given, else that of the checkpoint, or a file beside a foreign one.
/// Throws InputError that names the file.
ZeroShotModel open_zero_shot_model(const std::string& checkpoint,
                                   const std::string& tokenizer_file);

/// Classifies the images of `loader`, one of `set`: by the class whose embedding
/// (class_embeddings()) is nearest. Throws UsageError if the set has less than two classes or
/// several labels per image.
ClassificationResult zero_shot_classification(const ZeroShotAsker& asker, const Dataset& set,
                                              const std::vector<std::string>& templates,
                                              Loader& loader, const BatchLoopOptions& loop);

/// Finds the captions of the images of `loader`, one of `set`, and the images of captions. Throws
/// UsageError if the set has no captions.
RetrievalResult zero_shot_retrieval(const ZeroShotAsker& asker, const Dataset& set, Loader& loader,
                                    const BatchLoopOptions& loop);

}  // namespace softmoe
