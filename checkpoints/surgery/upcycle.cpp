#include "checkpoints/surgery/upcycle.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <set>

#include "checkpoints/load_into.h"
#include "checkpoints/make_model.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/parameter_names.h"
#include "core/error.h"
#include "core/rng.h"
#include "softmoe/routers.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

/// Prefix of numbers of updates, one per parameter, in the state of an optimizer.
constexpr std::string_view kAges = "age/";

/// A copy of `tensor` for each expert, [experts, ...].
torch::Tensor copies(const torch::Tensor& tensor, int64_t experts) {
  auto shape = tensor.sizes().vec();
  shape.insert(shape.begin(), experts);
  return tensor.unsqueeze(0).expand(shape).clone(torch::MemoryFormat::Contiguous);
}

/// The axis of neurons of the part "mlp.fc1.weight" and so on of an MLP; -1: none.
int64_t axis_of_neurons(const std::string& part) {
  return part == "mlp.fc2.bias" ? -1 : part == "mlp.fc2.weight" ? 1 : 0;
}

/// The tensors of a dense model as those of a model of `to`.
class UpcycledTensors {
 public:
  UpcycledTensors(const VitOptions& to, const ExpertNeurons& neurons)
      : mask_(moe_block_mask(to.moe_blocks, to.depth)),
        experts_(to.moe.experts),
        width_(to.mlp_dim),
        neurons_(neurons) {}

  /// What experts get of `tensor`, which is or belongs to the part `name` of an MLP,
  /// [experts, ...]; undefined if it has no axis of neurons to choose from.
  torch::Tensor experts(const std::string& name, const torch::Tensor& tensor) const {
    const auto parameter = block_parameter(name);
    const auto chosen = neurons_.find(parameter->block);
    const int64_t axis = axis_of_neurons(parameter->rest);
    if (chosen == neurons_.end() || axis < 0) {
      return copies(tensor, experts_);
    }
    if (tensor.dim() <= axis || tensor.size(axis) != width_) {
      return {};
    }
    std::vector<torch::Tensor> parts;
    for (const auto& index : chosen->second.to(tensor.device()).unbind(0)) {
      parts.push_back(tensor.index_select(axis, index));
    }
    return torch::stack(parts);
  }

  /// The tensor of experts for the part `name` of an MLP; nothing for other tensors.
  std::optional<std::string> experts_of(const std::string& name) const {
    const auto parameter = block_parameter(name);
    const auto depth = static_cast<int64_t>(mask_.size());
    if (!parameter || parameter->block < 0 || parameter->block >= depth ||
        !mask_[static_cast<size_t>(parameter->block)]) {
      return std::nullopt;
    }
    const auto expert = expert_name(parameter->rest);
    return expert ? std::optional(block_name(parameter->block, *expert)) : std::nullopt;
  }

 private:
  std::vector<bool> mask_;
  int64_t experts_;
  int64_t width_;
  const ExpertNeurons& neurons_;
};

/// The importance of the neurons of block `block` by their weights, [mlp-dim].
torch::Tensor importance_of_weights(const NamedTensors& dense, int64_t block) {
  const auto norms = [&](const char* part, int64_t axis) {
    const auto name = block_name(block, part);
    const auto found = dense.find(name);
    if (found == dense.end()) {
      throw InputError("the dense model", "a tensor " + name, "none");
    }
    return found->second.to(torch::kFloat64).norm(2, axis);  // [mlp-dim]
  };
  return norms("mlp.fc1.weight", 1) * norms("mlp.fc2.weight", 0);
}

/// Adds noise to the weights of all experts, from a stream that belongs to `name`.
void add_noise(torch::Tensor& weights, double relative_deviation, int64_t seed,
               const std::string& name) {
  const auto key = stream_key(static_cast<uint64_t>(seed), "expert noise of " + name);
  const auto generator = torch::make_generator<at::CPUGeneratorImpl>(key);
  const double deviation = weights[0].to(torch::kFloat64).std(/*unbiased=*/false).item<double>();
  weights.add_(torch::randn(weights.sizes(), generator, weights.options()),
               relative_deviation * deviation);
}

}  // namespace

bool starts_anew(const std::string& name, const UpcycleOptions& options) {
  return name.find(".moe.router.") != std::string::npos || name.ends_with(".moe.gamma") ||
         (belongs_to_head(name) && !options.keep_head);
}

void describe(OptionTable& table, UpcycleOptions& options) {
  table.add("upcycle-init", options.init,
            "what experts begin with: a copy of their MLP, a copy with noise, or neurons that they "
            "draw by importance, as many as --expert-dim");
  table.add("expert-noise", options.expert_noise,
            "standard deviation of normal noise on the weights of each expert, relative to theirs; "
            "0: none, with --upcycle-init noise 0.1",
            {.min = 0});
  table.add("keep-head", options.keep_head,
            "keep the head of the dense model; else it starts anew");
  table.add("optimizer-state", options.optimizer_state,
            "begin with no moments, or with those of the dense model; each expert gets its MLP's");
}

void check_dense(const VitOptions& from, const std::string& path) {
  if (has_moe(from)) {
    throw InputError(path, "a dense model to upcycle", "MoE layers in blocks " + from.moe_blocks);
  }
}

void check_expert_width(const VitOptions& to, const UpcycleOptions& options) {
  const int64_t width = moe_layer_options(to).hidden_dim;
  if (options.init == UpcycleInit::kImportance ? width > to.mlp_dim : width != to.mlp_dim) {
    throw UsageError(
        "expert-dim",
        options.init == UpcycleInit::kImportance
            ? fmt::format("at most mlp-dim {}, of which experts are parts", to.mlp_dim)
            : fmt::format("mlp-dim {}, of which experts are copies, or upcycle-init importance",
                          to.mlp_dim),
        std::to_string(width));
  }
}

ExpertNeurons draw_neurons(const NamedTensors& dense, const VitOptions& to,
                           const UpcycleOptions& options, int64_t seed,
                           const NeuronImportance& importance) {
  ExpertNeurons neurons;
  if (options.init != UpcycleInit::kImportance || !has_moe(to)) {
    return neurons;
  }
  validate(to);
  check_expert_width(to, options);
  const int64_t width = moe_layer_options(to).hidden_dim;
  const auto mask = moe_block_mask(to.moe_blocks, to.depth);
  for (int64_t block = 0; block < to.depth; ++block) {
    if (!mask[static_cast<size_t>(block)]) {
      continue;
    }
    auto weights = importance.empty() ? importance_of_weights(dense, block)
                                      : importance.at(block).to(torch::kCPU, torch::kFloat64);
    // Every neuron can be drawn, even if there are fewer of any importance than an expert takes.
    weights = weights + weights.mean().clamp_min(1e-30) * 1e-6;  // [mlp-dim]
    const auto key =
        stream_key(static_cast<uint64_t>(seed), "neurons of block " + std::to_string(block));
    const auto generator = torch::make_generator<at::CPUGeneratorImpl>(key);
    const auto drawn = torch::multinomial(weights.repeat({to.moe.experts, 1}), width,
                                          /*replacement=*/false, generator);
    neurons[block] = std::get<0>(drawn.sort(/*dim=*/1));  // [experts, width]
  }
  return neurons;
}

VisionTransformer upcycle(const NamedTensors& dense, const VitOptions& from, const VitOptions& to,
                          const UpcycleOptions& options, int64_t seed, const std::string& path,
                          const ExpertNeurons& neurons) {
  check_dense(from, path);
  validate(to);
  if (has_moe(to)) {
    check_expert_width(to, options);
  }
  const torch::NoGradGuard no_grad;
  const auto chosen = neurons.empty() ? draw_neurons(dense, to, options, seed) : neurons;
  auto model = make_model(to, seed);
  const UpcycledTensors tensors(to, chosen);
  NamedTensors weights;
  for (const auto& [name, tensor] : dense) {
    const auto experts_name = tensors.experts_of(name);
    if (!experts_name || to.moe.shared_mlp) {
      weights[name] = tensor;
    }
    if (!experts_name) {
      continue;
    }
    auto experts = tensors.experts(name, tensor);  // [experts, ...]
    if (options.noise() > 0 && tensor.dim() > 1) {
      add_noise(experts, options.noise(), seed, *experts_name);
    }
    weights[*experts_name] = std::move(experts);
  }
  for (const auto& [name, tensor] : named_tensors(*model)) {
    if (starts_anew(name, options)) {
      weights[name] = tensor.clone();
    }
  }
  load_into(*model, weights, path);
  return model;
}

NamedTensors carried_optimizer_state(const NamedTensors& dense, const VitOptions& to,
                                     const UpcycleOptions& options, const ExpertNeurons& neurons) {
  const UpcycledTensors tensors(to, neurons);
  NamedTensors carried;
  for (const auto& [name, tensor] : dense) {
    const auto slash = name.find('/');
    if (slash == std::string::npos) {
      carried[name] = tensor;  // the number of steps
      continue;
    }
    const auto kind = name.substr(0, slash + 1);
    const auto parameter = name.substr(slash + 1);
    if (starts_anew(parameter, options)) {
      continue;
    }
    const auto experts_name = tensors.experts_of(parameter);
    if (!experts_name || to.moe.shared_mlp) {
      carried[name] = tensor;
    }
    if (experts_name) {
      const auto experts = name.starts_with(kAges) ? tensor : tensors.experts(parameter, tensor);
      if (experts.defined()) {
        carried[kind + *experts_name] = experts;
      }
    }
  }
  return carried;
}

NamedTensors upcycle_optimizer_state(const NamedTensors& dense, const VitOptions& to,
                                     const UpcycleOptions& options, const std::string& path,
                                     const ExpertNeurons& neurons) {
  if (dense.empty()) {
    throw InputError(path, "the state of an optimizer", "none");
  }
  auto upcycled = carried_optimizer_state(dense, to, options, neurons);
  std::set<std::string> kinds;
  for (const auto& [name, tensor] : dense) {
    const auto slash = name.find('/');
    if (slash != std::string::npos && !name.starts_with(kAges)) {
      kinds.insert(name.substr(0, slash + 1));
    }
  }
  const auto model = make_model(to, /*seed=*/0);
  for (const auto& item : model->named_parameters()) {
    if (starts_anew(item.key(), options)) {
      for (const auto& kind : kinds) {
        upcycled[kind + item.key()] = torch::zeros_like(item.value().detach());
      }
    }
  }
  return upcycled;
}

bool keeps_dense_outputs(const VitOptions& to) {
  if (to.moe.shared_mlp || to.moe.moe_layer_scale > 0 ||
      moe_layer_options(to).hidden_dim != to.mlp_dim) {
    return false;
  }
  switch (router_row(to.moe.router).equal_experts) {
    case EqualExperts::kAgree:
      return true;
    case EqualExperts::kRenormalized:
      return to.moe.sparse.renormalize_gates;
    default:
      return false;
  }
}

}  // namespace softmoe
