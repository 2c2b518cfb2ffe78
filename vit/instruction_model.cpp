#include "vit/instruction_model.h"

#include <cmath>

#include "ops/initialization.h"
#include "vit/image_text_model.h"

namespace softmoe {

InstructionModelImpl::InstructionModelImpl(InstructionOptions options)
    : options_(std::move(options)) {
  validate(options_);
  InstructionModelImpl::reset();
}

void InstructionModelImpl::reset() {
  const int64_t dim = options_.image.dim;
  image = register_module("image", VisionTransformer(options_.image));
  text = register_module("text", TextTower(options_.text));
  question_projection = register_module("question_projection", Linear(options_.text.dim, dim));
  const int64_t features = options_.image.feature_dim() + dim;
  answer_projection =
      register_module("answer_projection", Linear(features, options_.text.embedding_dim()));
  init_normal(answer_projection->weight, 1.0 / std::sqrt(static_cast<double>(features)));
  logit_scale = register_parameter("logit_scale", torch::empty({}));
  init_constant(logit_scale, std::log(options_.logit_scale));
}

torch::Tensor InstructionModelImpl::embed_questions(const torch::Tensor& images,
                                                    const torch::Tensor& ids,
                                                    const torch::Tensor& lengths,
                                                    RoutingRecords* records,
                                                    RoutingRecords* text_records) {
  const auto texts = pack_texts(ids, lengths, options_.text.context);
  const auto joined = image->forward_joined(
      images,
      {.texts = texts,
       .tokens = question_projection(text->packed_tokens(texts, text_records))},  // [tokens, dim]
      records);
  const auto last = texts.first + texts.lengths - 1;  // [batch]
  const auto features = torch::cat({joined.features, joined.texts.index_select(0, last)},
                                   1);                // [batch, feature_dim + dim]
  return of_length_one(answer_projection(features));  // [batch, embedding]
}

torch::Tensor InstructionModelImpl::embed_answers(const torch::Tensor& ids,
                                                  const torch::Tensor& lengths) {
  return of_length_one(text->forward(ids, lengths));  // [answers, embedding]
}

torch::Tensor InstructionModelImpl::logits(const torch::Tensor& questions,
                                           const torch::Tensor& answers,
                                           const torch::Tensor& choices) const {
  const auto all = questions.matmul(answers.t()) * logit_scale.exp();  // [batch, answers]
  return all.gather(1, choices.clamp_min(0)).masked_fill(choices < 0, kNoChoice);
}

void InstructionModelImpl::set_grad_checkpointing(bool enabled) {
  image->set_grad_checkpointing(enabled);
  text->set_grad_checkpointing(enabled);
}

}  // namespace softmoe
