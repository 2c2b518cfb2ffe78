#pragma once
/// What runs that learn from images with texts are asked for.

#include <array>
#include <string>

#include "core/options.h"

namespace softmoe {

/// What a run learns from.
enum class TrainingObjective {
  kClassification,  ///< labels
  kContrastive      ///< texts of images
};
template <>
inline constexpr std::array<EnumName<TrainingObjective>, 2> kEnumNames<TrainingObjective>{
    {{TrainingObjective::kClassification, "classification"},
     {TrainingObjective::kContrastive, "contrastive"}}};

/// The loss of pairs of images and texts (ops/contrastive.h).
enum class ContrastiveLoss {
  kSigmoid,  ///< SigLIP
  kSoftmax   ///< CLIP
};
template <>
inline constexpr std::array<EnumName<ContrastiveLoss>, 2> kEnumNames<ContrastiveLoss>{
    {{ContrastiveLoss::kSigmoid, "sigmoid"}, {ContrastiveLoss::kSoftmax, "softmax"}}};

/// How images and texts are embedded in one space.
struct ContrastiveOptions {
  TrainingObjective objective = TrainingObjective::kClassification;
  ContrastiveLoss loss = ContrastiveLoss::kSigmoid;
  std::string tokenizer = "bpe";  ///< "bytes", "bpe" (learned from the texts), or a file
  std::string templates = {};     ///< of texts about labels: "default" or a file; empty: captions
  std::string image_init = {};    ///< a checkpoint whose weights the image tower starts with
  bool lock_image = false;        ///< the image tower does not learn (LiT: arXiv:2111.07991)

  bool operator==(const ContrastiveOptions&) const = default;

  bool is_on() const { return objective == TrainingObjective::kContrastive; }
};
void describe(OptionTable& table, ContrastiveOptions& options);

}  // namespace softmoe
