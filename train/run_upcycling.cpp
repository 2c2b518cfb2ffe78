#include "train/run_upcycling.h"

#include <ATen/ops/linear.h>
#include <fmt/format.h>

#include <algorithm>

#include "checkpoints/load_into.h"
#include "checkpoints/module_tensors.h"
#include "core/log.h"
#include "ops/activation.h"
#include "train/fit_routers.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

/// Tokens of the sample that activations are measured on.
constexpr int64_t kMaxTokens = 32'768;

NamedTensors on_cpu(NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) {
    tensor = tensor.detach().to(torch::kCPU);
  }
  return tensors;
}

/// The mean size of the activations of each neuron of all MLPs of the dense model `model`.
NeuronImportance importance_of_activations(VisionTransformer& model, const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  const auto weights = named_tensors(*model);
  const auto& options = model->options();
  NeuronImportance importance;
  model->visit_branch_inputs(images, [&](int64_t block, const torch::Tensor& inputs) {
    const auto name = fmt::format("blocks.{}.mlp.fc1.", block);
    const auto hidden =
        activate(at::linear(inputs, weights.at(name + "weight"), weights.at(name + "bias")),
                 mlp_activation(options));                              // [batch, tokens, mlp-dim]
    importance[block] = hidden.to(torch::kFloat64).abs().mean({0, 1});  // [mlp-dim]
  });
  return importance;
}

NeuronImportance measured_importance(TrainingState& state, const Dataset& train_set) {
  if (state.setup.upcycling->options.init != UpcycleInit::kImportance) {
    return {};
  }
  const auto& options = state.options();
  const int64_t count = std::max<int64_t>(1, kMaxTokens / state.model()->options().tokens());
  const auto images = sample_images(train_set, options.preprocess, training_loader(options), count);
  return importance_of_activations(state.model(), images.to(state.setup.device));
}

/// Gives `average` what starts anew in `model`.
void take_new_parts(NamedTensors& average, const NamedTensors& model,
                    const UpcycleOptions& options) {
  for (const auto& [name, tensor] : model) {
    if (starts_anew(name, options)) {
      average[name] = tensor;
    }
  }
}

}  // namespace

void upcycle_run(TrainingState& state, const Dataset& train_set) {
  const auto& upcycling = *state.setup.upcycling;
  const auto& [moment, from, to, options, cost_ratio] = upcycling;
  const auto seed = state.options().train.seed;
  const std::string where = "the dense model of the run";
  const auto dense = on_cpu(named_tensors(*state.model()));
  const auto neurons =
      draw_neurons(dense, to, options, seed, measured_importance(state, train_set));
  auto model = upcycle(dense, from, to, options, seed, where, neurons);
  if (model->wants_router_sample()) {
    fit_routers(model, train_set, state.options().preprocess, training_loader(state.options()));
  }
  const auto moments =
      carried_optimizer_state(on_cpu(state.optimizer->state()), to, options, neurons);
  std::vector<NamedTensors> averages;
  if (state.ema) {
    for (const auto& average : state.ema->averages()) {
      averages.push_back(named_tensors(*upcycle(on_cpu(named_tensors(*average.model)), from, to,
                                                options, seed, where, neurons)));
      take_new_parts(averages.back(), named_tensors(*model), options);
    }
  }
  replace_model(state, model);
  const auto kept = state.optimizer->adopt_state(moments);
  for (size_t index = 0; index < averages.size(); ++index) {
    load_into(*state.ema->averages()[index].model, averages[index], where);
  }
  state.progress.upcycled_step = state.progress.step;
  log_line(fmt::format(
      "upcycled after update {}: MoE layers in blocks {}, {:.2f} M parameters, {:.4f} GFLOP/img; "
      "optimizer state kept for {} of {} tensors",
      state.progress.step, to.moe_blocks, static_cast<double>(model_cost(to).parameters()) / 1e6,
      model_cost(to).gflop, kept, state.optimizer->size()));
}

}  // namespace softmoe
