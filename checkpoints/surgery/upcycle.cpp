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

/// Returns true if the tensor `name` of an upcycled model has no counterpart in the dense one.
bool starts_anew(const std::string& name, const UpcycleOptions& options) {
  return name.find(".moe.router.") != std::string::npos ||
         (belongs_to_head(name) && !options.keep_head);
}

/// The names of the tensors of a dense model in a model of `to`.
class UpcycledNames {
 public:
  explicit UpcycledNames(const VitOptions& to) : mask_(moe_block_mask(to.moe_blocks, to.depth)) {}

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
};

/// A copy of `tensor` for each expert, [experts, ...].
torch::Tensor copies(const torch::Tensor& tensor, int64_t experts) {
  auto shape = tensor.sizes().vec();
  shape.insert(shape.begin(), experts);
  return tensor.unsqueeze(0).expand(shape).clone(torch::MemoryFormat::Contiguous);
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

void describe(OptionTable& table, UpcycleOptions& options) {
  table.add("expert-noise", options.expert_noise,
            "standard deviation of normal noise on the weights of each expert, relative to theirs",
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

VisionTransformer upcycle(const NamedTensors& dense, const VitOptions& from, const VitOptions& to,
                          const UpcycleOptions& options, int64_t seed, const std::string& path) {
  check_dense(from, path);
  validate(to);
  const torch::NoGradGuard no_grad;
  auto model = make_model(to, seed);
  const UpcycledNames names(to);
  NamedTensors weights;
  for (const auto& [name, tensor] : dense) {
    const auto experts_name = names.experts_of(name);
    if (!experts_name) {
      weights[name] = tensor;
      continue;
    }
    auto experts = copies(tensor, to.moe.experts);  // [experts, ...]
    if (options.expert_noise > 0 && tensor.dim() > 1) {
      add_noise(experts, options.expert_noise, seed, *experts_name);
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

NamedTensors upcycle_optimizer_state(const NamedTensors& dense, const VitOptions& to,
                                     const UpcycleOptions& options, const std::string& path) {
  if (dense.empty()) {
    throw InputError(path, "the state of an optimizer", "none");
  }
  const UpcycledNames names(to);
  NamedTensors upcycled;
  std::set<std::string> kinds;
  for (const auto& [name, tensor] : dense) {
    const auto slash = name.find('/');
    if (slash == std::string::npos) {
      upcycled[name] = tensor;  // the number of steps
      continue;
    }
    const auto kind = name.substr(0, slash + 1);
    const auto parameter = name.substr(slash + 1);
    kinds.insert(kind);
    const auto experts_name = names.experts_of(parameter);
    upcycled[kind + experts_name.value_or(parameter)] =
        experts_name ? copies(tensor, to.moe.experts) : tensor;
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
