#pragma once
/// A model that answers questions about images, in words.

#include "vit/instruction_options.h"
#include "vit/text_tower.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// An image tower (`image`) in whose blocks the tokens of the question stand beside those of the
/// image, and a text tower (`text`) that reads the question, token by token, and the answers, as a
/// whole. `question_projection` maps tokens of questions to the width of images,
/// `answer_projection` what comes out to the width of embedded answers; `logit_scale` [], a
/// logarithm, makes logits of cosines (as in CLIP: Radford et al., arXiv:2103.00020). Since answers
/// are known by their words alone, those can be asked that were never trained.
class InstructionModelImpl : public torch::nn::Cloneable<InstructionModelImpl> {
 public:
  /// Throws UsageError if the options contradict each other.
  explicit InstructionModelImpl(InstructionOptions options);
  void reset() override;

  /// Embeddings of `images` [batch, in_chans, height, width] with a question each, whose tokens are
  /// the first `lengths` [batch] of each row of `ids` [batch, width]: [batch, embedding] fp32, of
  /// length 1. The records are those of the image tower and of the text tower.
  torch::Tensor embed_questions(const torch::Tensor& images, const torch::Tensor& ids,
                                const torch::Tensor& lengths, RoutingRecords* records = nullptr,
                                RoutingRecords* text_records = nullptr);
  /// Embeddings of answers: [answers, embedding] fp32, of length 1.
  torch::Tensor embed_answers(const torch::Tensor& ids, const torch::Tensor& lengths);
  /// Logits [batch, choices] of `questions` [batch, embedding] for the `answers` [answers,
  /// embedding] that `choices` [batch, choices] int64 names for each; kNoChoice where that is
  /// negative.
  torch::Tensor logits(const torch::Tensor& questions, const torch::Tensor& answers,
                       const torch::Tensor& choices) const;

  /// Lets the blocks of both towers keep no activations in training but compute them again.
  void set_grad_checkpointing(bool enabled);

  const InstructionOptions& options() const { return options_; }

  VisionTransformer image{nullptr};
  TextTower text{nullptr};
  Linear question_projection{nullptr};
  Linear answer_projection{nullptr};
  torch::Tensor logit_scale;  ///< []

 private:
  InstructionOptions options_;
};
TORCH_MODULE(InstructionModel);

/// The logit of a place without an answer; its probability is 0, and losses stay finite.
inline constexpr double kNoChoice = -1e4;

}  // namespace softmoe
