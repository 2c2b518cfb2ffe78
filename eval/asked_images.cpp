#include "eval/asked_images.h"

#include <c10/core/InferenceMode.h>

#include <set>

#include "core/error.h"
#include "core/progress.h"
#include "eval/question_batch.h"
#include "runtime/autocast_guard.h"
#include "text/tokenizers.h"

namespace softmoe {

Transform AskedModel::transform(const std::string& checkpoint) const {
  if (!description.preprocess) {
    throw InputError(checkpoint + ": preprocess", "an object of options", "null");
  }
  try {
    check_normalization(*description.preprocess, description.options.image.in_chans);
  } catch (const UsageError& error) {
    throw InputError(checkpoint + ": preprocess: " + error.what());  // wrong in a file
  }
  return Transform::evaluation(*description.preprocess);
}

AskedModel open_asked_model(const std::string& checkpoint, const torch::Device& device) {
  auto loaded = load_instruction(checkpoint, device);
  AskedModel asked{.model = std::move(loaded.model),
                   .description = std::move(loaded.description),
                   .tokenizer = {},
                   .metadata = std::move(loaded.metadata)};
  const auto& stored = asked.description.tokenizer;
  asked.tokenizer = make_tokenizer(stored.kind, stored.data, checkpoint);
  if (const auto entries = asked.description.options.text.vocab_size;
      asked.tokenizer->vocab_size() > entries) {
    throw InputError(checkpoint + ": tokenizer", "at most " + std::to_string(entries) + " entries",
                     std::to_string(asked.tokenizer->vocab_size()));
  }
  return asked;
}

void check_asked_answers(const AskedModel& model, const std::vector<std::string>& answers,
                         const std::string& flag) {
  const auto context = model.description.options.text.context;
  const auto empty = model.tokenizer->encode("", context);
  std::set<std::vector<int64_t>> known;
  for (const auto& answer : answers) {
    const auto tokens = model.tokenizer->encode(answer, context);
    if (tokens == empty || !known.insert(tokens).second) {
      throw UsageError(flag, "different answers that have tokens",
                       "'" + printable_text(answer) + "'");
    }
  }
  if (known.size() < 2) {
    throw UsageError(flag, "two answers or more", std::to_string(known.size()));
  }
}

AskedAnswers ask_images(AskedModel& model, const Dataset& images, const std::string& question,
                        const std::vector<std::string>& answers, const Transform& transform,
                        LoaderOptions loader, const BatchLoopOptions& options) {
  const c10::InferenceMode inference;
  loader.shuffle = false;
  loader.drop_last = false;
  loader.max_bad_images = 1.0;  // the caller gets a list of them
  loader.log_bad_images = false;
  Loader batches(images, transform, loader);
  Progress progress(options.label, images.size(), "images");
  AskedAnswers result;
  std::vector<torch::Tensor> parts;
  batches.start(/*epoch=*/0);
  while (auto batch = batches.next()) {
    const auto rows = batch->images.size(0);
    const TaskQuestion asked{.text = question, .choices = answers};
    add_questions(*batch, std::vector<TaskQuestion>(static_cast<size_t>(rows), asked),
                  *model.tokenizer, model.description.options.text.context);
    batch->images = batch->images.to(options.device);  // [batch, channels, height, width]
    move_questions(*batch, options.device);
    const AutocastGuard autocast(options.device, options.dtype);
    parts.push_back(answer_logits(model.model, *batch)
                        .to(torch::kFloat32)
                        .softmax(1)
                        .cpu());  // [batch, answers]
    const auto* const indices = batch->indices.const_data_ptr<int64_t>();
    result.indices.insert(result.indices.end(), indices, indices + rows);
    progress.update(std::ssize(result.indices));
  }
  progress.finish();
  result.bad = batches.bad_images();
  result.probabilities = parts.empty() ? torch::empty({0, std::ssize(answers)})
                                       : torch::cat(parts);  // [images, answers]
  return result;
}

}  // namespace softmoe
