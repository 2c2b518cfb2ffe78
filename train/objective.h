#pragma once
/// Objectives: what a training step minimises. The loss of a step is the sum of the losses of all
/// objectives that are on; objectives.h has the table.

#include <torch/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/loader.h"
#include "ops/contrastive.h"
#include "softmoe/router_losses.h"
#include "train/chunked_loss.h"
#include "train/contrastive_options.h"
#include "train/distillation_options.h"
#include "train/loss.h"
#include "vit/vision_transformer.h"

namespace softmoe {

/// The options of all objectives.
struct ObjectiveOptions {
  LossOptions loss;
  RouterLossOptions router_losses;
  std::optional<DistillationOptions> distillation = {};  ///< none: labels alone teach
  ContrastiveOptions contrastive = {};

  bool operator==(const ObjectiveOptions&) const = default;
};

/// Tokens of a student and of its teacher that are to be equal, [batch, patches, teacher's dim].
struct MatchedTokens {
  torch::Tensor student;  ///< mapped to the width of the teacher
  torch::Tensor teacher;  ///< without gradient
};

/// The gradients by the embeddings of one batch of a loss of more pairs than it has.
struct JointGradients {
  torch::Tensor loss = {};    ///< [], the loss itself; undefined: there are none
  torch::Tensor images = {};  ///< [batch, dim]
  torch::Tensor texts = {};   ///< [batch, dim]
  int64_t batches = 1;        ///< number of those that share an update
};

/// What objectives see: a step after its forward pass.
struct StepContext {
  const Batch& batch;  ///< with labels; on the device of the model
  /// [batch, classes] of the labels' loss: with distillation, of the class token's head alone;
  /// undefined if `head` makes them in parts.
  torch::Tensor logits = {};
  RoutingRecords routing = {};  ///< by the number of the block; what the objectives want
  /// [batch], without gradient: the losses per image, summed over the objectives before this one;
  /// undefined if they have none.
  torch::Tensor image_losses = {};
  torch::Tensor features = {};  ///< [batch, feature_dim], which `head` makes logits of
  Head head = {};               ///< if there are no `logits`
  int64_t loss_rows = 0;        ///< images whose logits may be held at once, if `head` makes them
  /// [batch, classes] of the loss of distillation: those of the distillation token if there is one.
  torch::Tensor distillation_logits = {};
  /// [batch, classes] fp32, without gradient: Teacher::probabilities(); undefined without a
  /// teacher.
  torch::Tensor teacher = {};
  std::vector<MatchedTokens> matched = {};  ///< of DistillationOptions::features, in their order
  double progress = 0.0;                    ///< share of the run that is done, in [0, 1]
  EmbeddedPairs pairs = {};   ///< of a model of images and texts; undefined for others
  JointGradients joint = {};  ///< by the embeddings of `pairs`, if their loss has more pairs
};

/// Numbers about blocks of the model to be recorded, by the number of the block and by name:
/// [], without gradient.
using BlockValues = std::map<int64_t, std::map<std::string, torch::Tensor>>;

/// What an objective returns.
struct ObjectiveLoss {
  torch::Tensor loss = {};          ///< [], weighted; undefined if the objective does not apply
  torch::Tensor image_losses = {};  ///< [batch]; undefined if the loss has no share per image
  BlockValues values = {};
  /// Of a sum of objectives: the loss of each, by name, without gradient.
  std::map<std::string, torch::Tensor> parts = {};
};

/// A row of the table of objectives.
struct ObjectiveRow {
  std::string_view name;
  std::string_view meaning;
  /// Returns true if `options` ask for it.
  bool (*is_on)(const ObjectiveOptions& options);
  RoutingWants routing;  ///< what it reads of the routing of MoE layers
  ObjectiveLoss (*loss)(const ObjectiveOptions& options, const StepContext& context);
};

}  // namespace softmoe
