#pragma once
/// Questions about images and their answers as tokens.

#include <string>
#include <vector>

#include "datasets/loader.h"
#include "datasets/tasks/task_set.h"
#include "text/tokenizer.h"
#include "vit/instruction_model.h"

namespace softmoe {

/// Fills token_ids, token_lengths, answer_ids, answer_lengths and choices of `batch`, whose
/// questions are `questions`, with at most `max_tokens` per text, on the CPU. To each question up
/// to `open_answers` right answers of other questions are added as further choices, so that a model
/// learns which kind of answer a question wants.
void add_questions(Batch& batch, const std::vector<TaskQuestion>& questions,
                   const Tokenizer& tokenizer, int64_t max_tokens, int64_t open_answers = 0);

/// The questions of the images of `batch`.
std::vector<TaskQuestion> questions_of(const Batch& batch, const TaskSet& tasks);

/// `batch` with all tensors of questions on `device`.
void move_questions(Batch& batch, const torch::Device& device);

/// The logits of `model` for the answers of a batch on its device, [batch, choices].
torch::Tensor answer_logits(InstructionModel& model, const Batch& batch,
                            RoutingRecords* records = nullptr,
                            RoutingRecords* text_records = nullptr);

/// Throws InputError that names the task and the text unless every answer of `tasks` has tokens of
/// its own: at least one, at most `max_tokens`, and not those of another answer to one question.
/// Questions are tried as far as a part of the set shows them.
void check_answers(const TaskSet& tasks, const Tokenizer& tokenizer, int64_t max_tokens);

}  // namespace softmoe
