// softmoe as a contender with images and texts in bench/peers/compare.py, where contenders take
// turns.
//
//     pair_worker pairs MODEL BATCH DTYPE TOKENS    updates of both towers
//     pair_worker texts MODEL BATCH DTYPE TOKENS    embeddings of texts
//
// Writes the peak of its memory as JSON when it has run twice, and answers each line "go SECONDS"
// with the pairs or texts per second of that time. MODEL is one of images and texts, such as
// clip_vit_s16; texts have TOKENS tokens each. DTYPE is float32 or bfloat16, of texts also int8.

#include <ATen/Context.h>
#include <fmt/format.h>

#include <functional>
#include <string>

#include "bench/run_bench.h"
#include "bench/take_turns.h"
#include "checkpoints/module_tensors.h"
#include "inference/image_text_inference.h"
#include "ops/compute_precision.h"
#include "runtime/memory/memory_use.h"
#include "train/model_update.h"
#include "train/optimizers.h"
#include "vit/image_text_zoo.h"

namespace softmoe {
namespace {

/// Random pairs for a model of `options`.
Batch random_pairs(const ImageTextOptions& options, int64_t batch, int64_t tokens) {
  const auto& image = options.image;
  return {
      .images =
          torch::rand({batch, image.in_chans, image.image_height(), image.image_width()}) * 2 - 1,
      .labels = torch::full({batch}, -1, torch::kInt64),
      .indices = torch::arange(batch),
      .token_ids = torch::randint(options.text.vocab_size, {batch, tokens}, torch::kInt64),
      .token_lengths = torch::full({batch}, tokens, torch::kInt64),
      .text_groups = torch::arange(batch)};
}

/// An update: forward pass of both towers, loss, backward pass, clipping, AdamW.
std::function<void()> updates(const ImageTextOptions& options, const Batch& batch,
                              torch::Dtype dtype) {
  auto run = std::make_shared<ImageTextRun>();
  run->model = ImageTextModel(options);
  run->model->train();
  const OptimizerOptions optimizer_options;
  std::shared_ptr<Optimizer> optimizer =
      make_optimizer(named_parameters(*run->model), optimizer_options);
  ObjectiveOptions objectives;
  objectives.contrastive = {
      .objective = TrainingObjective::kContrastive,
      .loss = options.has_logit_bias ? ContrastiveLoss::kSigmoid : ContrastiveLoss::kSoftmax};
  return [=] {
    update_model(run->model->image, *optimizer, objectives, [&] { return batch; },
                 {.step = {.compute_dtype = dtype, .image_text = run.get()},
                  .lr = 1e-3,
                  .clip_grad = optimizer_options.clip_grad});
  };
}

std::function<void()> embeddings(const ImageTextOptions& options, const Batch& batch,
                                 Precision precision) {
  ImageTextModel model(options);
  auto engine =
      std::make_shared<ImageTextInference>(options, named_tensors(*model), "the model", precision);
  return [=] { engine->encode_text(batch.token_ids, batch.token_lengths); };
}

int run(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr, "pair_worker: TASK MODEL BATCH DTYPE TOKENS\n");
    return 2;
  }
  const int64_t batch = std::stoll(argv[3]);
  const auto precision = parse_precision(argv[4]);
  at::manual_seed(1);
  const auto options = image_text_preset(argv[2]);
  const auto pairs = random_pairs(options, batch, std::stoll(argv[5]));
  const auto step = std::string(argv[1]) == "pairs"
                        ? updates(options, pairs, tensor_dtype(precision))
                        : embeddings(options, pairs, precision);
  step();
  step();
  say({{"ready", true}, {"peak_bytes", peak_memory_bytes(torch::kCPU)}});
  take_turns(batch, step);
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("pair_worker", argc, argv, softmoe::run);
}
