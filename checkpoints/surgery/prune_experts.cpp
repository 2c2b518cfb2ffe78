#include "checkpoints/surgery/prune_experts.h"

#include <fmt/format.h>

#include "checkpoints/make_model.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/parameter_names.h"
#include "checkpoints/surgery/adapt.h"
#include "core/error.h"
#include "ops/initialization.h"
#include "softmoe/routers.h"

namespace softmoe {
namespace {

constexpr std::string_view kRouter = "moe.router.";
constexpr std::string_view kGamma = "moe.gamma";

void check_has_moe(const VitOptions& from, const std::string& path) {
  if (!has_moe(from)) {
    throw InputError(path, "a model with MoE layers", "dense blocks only");
  }
}

/// Returns true if values of a router's tensor `name` are numbers of experts.
bool holds_expert_numbers(const RouterRow& row, std::string_view name) {
  return std::find(row.expert_numbers.begin(), row.expert_numbers.end(), name) !=
         row.expert_numbers.end();
}

/// The one axis in which `tensor` is larger than `shape`; -1: none.
int64_t axis_of_experts(const torch::Tensor& tensor, torch::IntArrayRef shape, int64_t experts,
                        const std::string& name) {
  TORCH_INTERNAL_ASSERT(tensor.dim() == static_cast<int64_t>(shape.size()), name);
  int64_t axis = -1;
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    if (tensor.size(i) != shape[static_cast<size_t>(i)]) {
      TORCH_INTERNAL_ASSERT(axis == -1 && tensor.size(i) == experts,
                            "no single axis of experts in ", name);
      axis = i;
    }
  }
  return axis;
}

}  // namespace

KeptExperts most_important_experts(const ExpertImportance& importance, int64_t count) {
  KeptExperts kept;
  for (const auto& [block, shares] : importance) {
    TORCH_CHECK_VALUE(shares.dim() == 1 && count >= 1 && count <= shares.size(0),
                      "most_important_experts: ", count, " of ", shares.sizes());
    const auto order = std::get<1>(shares.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true));
    kept[block] = std::get<0>(order.slice(0, 0, count).sort());  // [count]
  }
  return kept;
}

VitOptions pruned_options(const VitOptions& from, int64_t experts, const std::string& path) {
  check_has_moe(from, path);
  if (from.moe.experts == 1) {
    throw InputError(path, "more than one expert a layer to choose from", "1");
  }
  if (experts < 1 || experts >= from.moe.experts) {
    throw InputError(path + ": experts that stay",
                     fmt::format("1 to {} of {}", from.moe.experts - 1, from.moe.experts),
                     std::to_string(experts));
  }
  auto options = transfer_options(from);
  options.moe.experts = experts;
  options.moe.sparse.top_k = std::min(options.moe.sparse.top_k, experts);
  try {
    validate(options);
    const SkipInitialization skip;
    make_router(moe_layer_options(options));
  } catch (const UsageError& error) {
    throw InputError(
        fmt::format("{}: {} of {} experts: {}", path, experts, from.moe.experts, error.what()));
  }
  return options;
}

NamedTensors prune_experts(const NamedTensors& weights, const VitOptions& from,
                           const VitOptions& pruned, const KeptExperts& kept) {
  const auto& row = router_row(from.moe.router);
  const auto target = unfilled_model(pruned);
  NamedTensors result;
  for (const auto& [name, shape_of] : named_tensors(*target)) {
    const auto& source = weights.at(name);
    const auto parameter = block_parameter(name);
    if (!parameter || !kept.contains(parameter->block)) {
      result[name] = source;
      continue;
    }
    const auto& indices = kept.at(parameter->block);
    const auto axis = axis_of_experts(source, shape_of.sizes(), from.moe.experts, name);
    if (axis >= 0) {
      result[name] = source.index_select(axis, indices);
    } else if (parameter->rest.starts_with(kRouter) &&
               holds_expert_numbers(row, parameter->rest.substr(kRouter.size()))) {
      result[name] = renumber_experts(source, indices, from.moe.experts);
    } else {
      result[name] = source;
    }
  }
  return result;
}

torch::Tensor renumber_experts(const torch::Tensor& numbers, const torch::Tensor& kept,
                               int64_t experts) {
  const int64_t count = kept.size(0);
  auto new_number = torch::full({experts}, -1, torch::kInt64);
  new_number.index_put_({kept}, torch::arange(count));
  auto renumbered = new_number.index_select(0, numbers.flatten().to(torch::kInt64));  // [count]
  const auto orphans = renumbered.eq(-1).nonzero().flatten();                         // [orphans]
  renumbered.index_put_({orphans}, torch::arange(orphans.size(0)).remainder(count));
  return renumbered.view(numbers.sizes()).to(numbers.dtype());
}

VitOptions dense_options(const VitOptions& from, const std::string& path) {
  check_has_moe(from, path);
  if (from.moe.shared_mlp) {
    throw InputError(path + ": shared-mlp", "false, as a dense block has one MLP", "true");
  }
  if (const auto width = moe_layer_options(from).hidden_dim; width != from.mlp_dim) {
    throw InputError(path + ": expert-dim", fmt::format("that of MLPs, {}", from.mlp_dim),
                     std::to_string(width));
  }
  auto options = from;
  options.moe_blocks = "none";
  options.moe = MoeOptions{};
  return options;
}

NamedTensors dense_weights(const NamedTensors& weights, const KeptExperts& kept) {
  NamedTensors result;
  for (const auto& [name, tensor] : weights) {
    const auto parameter = block_parameter(name);
    const auto mlp = parameter ? mlp_name(parameter->rest) : std::nullopt;
    if (parameter && (parameter->rest.starts_with(kRouter) || parameter->rest == kGamma)) {
      continue;
    }
    if (!mlp) {
      result[name] = tensor;
      continue;
    }
    const auto chosen = kept.find(parameter->block);
    const auto experts =
        chosen == kept.end() ? tensor : tensor.index_select(0, chosen->second);  // [experts, ...]
    auto mean = experts.to(torch::kFloat64).mean(0);                             // [...]
    const auto gamma = weights.find(block_name(parameter->block, std::string(kGamma)));
    if (gamma != weights.end() && mlp->starts_with("mlp.fc2.")) {
      const auto factors = gamma->second.to(torch::kFloat64);  // [dim]
      mean = mean * (mean.dim() == 2 ? factors.unsqueeze(1) : factors);
    }
    result[block_name(parameter->block, *mlp)] = mean.to(tensor.dtype());
  }
  return result;
}

}  // namespace softmoe
