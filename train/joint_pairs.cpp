#include "train/joint_pairs.h"

#include <ATen/ops/cat.h>
#include <c10/core/GradMode.h>

#include "runtime/autocast_guard.h"
#include "runtime/profiler.h"
#include "train/contrastive_objective.h"

namespace softmoe {
namespace {

/// The buffers of a module as they were, which come back at the end.
class KeptBuffers {
 public:
  explicit KeptBuffers(const torch::nn::Module& module) : buffers_(module.buffers()) {
    for (const auto& buffer : buffers_) {
      values_.push_back(buffer.clone());
    }
  }
  ~KeptBuffers() {
    const torch::NoGradGuard no_grad;
    for (size_t index = 0; index < buffers_.size(); ++index) {
      buffers_[index].copy_(values_[index]);
    }
  }
  KeptBuffers(const KeptBuffers&) = delete;
  KeptBuffers& operator=(const KeptBuffers&) = delete;

 private:
  std::vector<torch::Tensor> buffers_;
  std::vector<torch::Tensor> values_;
};

/// The pairs of all `batches`, whose embeddings begin a graph.
EmbeddedPairs all_pairs(ImageTextRun& run, const std::vector<Batch>& batches,
                        torch::Dtype compute_dtype, const std::vector<uint64_t>& random_keys) {
  const torch::NoGradGuard no_grad;
  const KeptBuffers state(*run.model);  // of routers that learn from the tokens they see
  std::vector<torch::Tensor> images;
  std::vector<torch::Tensor> texts;
  std::vector<torch::Tensor> groups;
  for (size_t index = 0; index < batches.size(); ++index) {
    const AutocastGuard autocast(batches[index].images.device(), compute_dtype);
    torch::manual_seed(random_keys[index]);
    const auto pairs = embed_pairs(run, batches[index], {}, /*routing=*/nullptr);
    images.push_back(pairs.images);  // [batch, dim]
    texts.push_back(pairs.texts);    // [batch, dim]
    groups.push_back(pairs.groups);  // [batch]
  }
  return {.images = at::cat(images).requires_grad_(),  // [pairs, dim]
          .texts = at::cat(texts).requires_grad_(),    // [pairs, dim]
          .log_scale = run.model->logit_scale,
          .bias = run.model->logit_bias,
          .groups = at::cat(groups)};  // [pairs]
}

}  // namespace

EmbeddedPairs embed_pairs(ImageTextRun& run, const Batch& batch, const RoutingWants& wants,
                          RoutingRecords* routing) {
  auto& model = run.model;
  auto features = batch.features;  // [batch, feature_dim]
  if (!features.defined()) {
    const c10::AutoGradMode learns(c10::GradMode::is_enabled() && !run.lock_image);
    features = model->image->forward_features(batch.images, routing);  // [batch, feature_dim]
  }
  auto of_texts = routing == nullptr ? RoutingRecords() : model->text->routing_records(wants);
  auto* const text_routing = routing == nullptr ? nullptr : &of_texts;
  EmbeddedPairs pairs{
      .images = model->embed_features(features),  // [batch, dim]
      .texts = model->encode_text(batch.token_ids, batch.token_lengths, text_routing),
      .log_scale = model->logit_scale,
      .bias = model->logit_bias,
      .groups = batch.text_groups};
  if (routing != nullptr) {
    append_text_records(*routing, std::move(of_texts), model->options().image.depth);
  }
  return pairs;
}

std::vector<JointGradients> joint_gradients(ImageTextRun& run, const std::vector<Batch>& batches,
                                            const ObjectiveOptions& objectives,
                                            torch::Dtype compute_dtype,
                                            const std::vector<uint64_t>& random_keys) {
  const ProfilePart part("embeddings");
  const auto pairs = all_pairs(run, batches, compute_dtype, random_keys);
  const auto loss = contrastive_loss(objectives, pairs);  // []
  loss.backward();
  std::vector<JointGradients> gradients;
  int64_t first = 0;
  for (const auto& batch : batches) {
    const int64_t count = batch.indices.numel();
    gradients.push_back({.loss = loss.detach(),
                         .images = pairs.images.grad().narrow(0, first, count),  // [batch, dim]
                         .texts = pairs.texts.grad().narrow(0, first, count),    // [batch, dim]
                         .batches = std::ssize(batches)});
    first += count;
  }
  return gradients;
}

}  // namespace softmoe
