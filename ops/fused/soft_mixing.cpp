#include "ops/fused/soft_mixing.h"

#include <ATen/ops/empty.h>
#include <torch/csrc/autograd/custom_function.h>

#include "core/tensor_check.h"
#include "kernels/table.h"
#include "ops/compute_precision.h"
#include "ops/tensor_pointers.h"
#include "runtime/arena.h"
#include "runtime/thread_team.h"

namespace softmoe::fused {
namespace {

using kernels::MixingShape;

MixingShape shape_of(const torch::Tensor& tokens, int64_t slots, int64_t experts, double eps) {
  return {.batch = tokens.size(0),
          .tokens = tokens.size(1),
          .experts = experts,
          .slots_per_expert = slots / experts,
          .dim = tokens.size(2),
          .eps = static_cast<float>(eps)};
}

/// Runs image(number, scratch) for every image of the batch.
template <typename Function>
void for_each_image(const ThreadTeam& team, const MixingShape& shape, const Function& image) {
  const int64_t size = kernels::table().mixing_scratch(shape);
  Arena& arena = thread_arena();
  arena.reset(Arena::room<float>(size));
  auto* const scratch = arena.take<float>(size);
  const auto share = team.share(shape.batch);
  for (int64_t index = share.first; index < share.last; ++index) {
    image(index, scratch);
  }
}

torch::Tensor logits_like(const MixingShape& shape) {
  return at::empty({shape.batch, shape.panels(), shape.tokens, kPanelSlots}, torch::kFloat32);
}

/// The part of the keys' gradient that one thread computes: whole panels if there are enough.
kernels::KeyPart part_of(const ThreadTeam& team, const MixingShape& shape) {
  if (shape.panels() >= 4 * team.size) {
    const auto panels = team.share(shape.panels());
    return {panels.first, panels.last, 0, shape.dim};
  }
  const auto channels = team.share(shape.dim, /*multiple=*/8);
  return {0, shape.panels(), channels.first, channels.last};
}

class DispatchFunction : public torch::autograd::Function<DispatchFunction> {
 public:
  static torch::autograd::variable_list forward(torch::autograd::AutogradContext* context,
                                                const torch::Tensor& tokens,
                                                const torch::Tensor& keys, int64_t experts,
                                                double eps, Precision precision) {
    const auto x = tokens.to(torch::kFloat32).contiguous();
    const auto own_keys = keys.to(torch::kFloat32).contiguous();
    const auto shape = shape_of(x, keys.size(1), experts, eps);
    auto logits = logits_like(shape);  // [batch, panels, tokens, 32]
    auto inputs = at::empty({experts, shape.batch * shape.slots_per_expert, shape.dim},
                            tensor_dtype(precision));  // [experts, rows, dim]
    auto panels = at::empty({shape.keys()}, torch::kFloat32);
    kernels::table().pack_keys(shape, own_keys.const_data_ptr<float>(), panels.data_ptr<float>());
    const auto* const rows = x.const_data_ptr<float>();
    run_team([&](const ThreadTeam& team) {
      for_each_image(team, shape, [&](int64_t image, float* scratch) {
        kernels::table().soft_dispatch_forward(
            shape, image, rows + image * shape.tokens * shape.dim, panels.const_data_ptr<float>(),
            logits.data_ptr<float>() + image * shape.logits(), target_of(inputs), scratch);
      });
    });
    context->save_for_backward({x, panels, logits});
    context->saved_data["experts"] = experts;
    context->saved_data["slots"] = shape.slots();
    context->saved_data["eps"] = eps;
    context->saved_data["token_dtype"] = static_cast<int64_t>(tokens.scalar_type());
    return {inputs, logits};
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [x, panels, logits] = std::tie(saved[0], saved[1], saved[2]);
    const auto shape =
        shape_of(x, context->saved_data["slots"].toInt(), context->saved_data["experts"].toInt(),
                 context->saved_data["eps"].toDouble());
    const auto d_inputs = contiguous_values(d_outputs[0]);
    const auto d_logits = d_outputs[1].to(torch::kFloat32).contiguous();
    const bool keys_learn = context->needs_input_grad(1);
    auto d_x = at::empty_like(x);  // [batch, tokens, dim]
    auto d_raw = logits_like(shape);
    auto d_key_panels = at::empty({keys_learn ? shape.keys() : 0}, torch::kFloat32);
    auto transposed = at::empty({shape.keys()}, torch::kFloat32);
    kernels::table().transpose_keys(shape, panels.const_data_ptr<float>(),
                                    transposed.data_ptr<float>());
    const auto* const rows = x.const_data_ptr<float>();
    const auto d_source = source_of(d_inputs);
    run_team([&](const ThreadTeam& team) {
      for_each_image(team, shape, [&](int64_t image, float* scratch) {
        const int64_t at = image * shape.tokens * shape.dim;
        const int64_t at_logits = image * shape.logits();
        kernels::table().soft_dispatch_backward(
            shape, image, rows + at, transposed.const_data_ptr<float>(),
            logits.const_data_ptr<float>() + at_logits,
            {.d_expert_inputs = d_source, .d_logits = d_logits.const_data_ptr<float>() + at_logits},
            d_x.data_ptr<float>() + at, d_raw.data_ptr<float>() + at_logits, scratch);
      });
      if (keys_learn) {
        team.barrier();
        kernels::table().soft_keys_backward(shape, part_of(team, shape), rows,
                                            d_raw.const_data_ptr<float>(),
                                            d_key_panels.data_ptr<float>());
      }
    });
    torch::Tensor d_keys;  // [dim, slots]
    if (keys_learn) {
      d_keys = at::empty({shape.dim, shape.slots()}, torch::kFloat32);
      kernels::table().unpack_keys(shape, d_key_panels.const_data_ptr<float>(),
                                   d_keys.data_ptr<float>());
    }
    const auto dtype = static_cast<torch::Dtype>(context->saved_data["token_dtype"].toInt());
    return {d_x.to(dtype), d_keys, {}, {}, {}};
  }
};

/// Where the softmax of image number `image` is in `stats` [2, batch, tokens].
kernels::RowSoftmax softmax_of(const MixingShape& shape, const torch::Tensor& stats,
                               int64_t image) {
  float* const maxima = stats.data_ptr<float>() + image * shape.tokens;
  return {.maxima = maxima, .inverse_sums = maxima + shape.batch * shape.tokens};
}

class CombineFunction : public torch::autograd::Function<CombineFunction> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& expert_outputs, const torch::Tensor& logits) {
    const auto outputs = contiguous_values(expert_outputs);
    const auto shape = call_of(outputs, logits);
    auto out = at::empty({shape.batch, shape.tokens, shape.dim}, torch::kFloat32);
    auto stats = at::empty({2, shape.batch, shape.tokens}, torch::kFloat32);
    const auto source = source_of(outputs);
    run_team([&](const ThreadTeam& team) {
      for_each_image(team, shape, [&](int64_t image, float* scratch) {
        kernels::table().soft_combine_forward(
            shape, image, logits.const_data_ptr<float>() + image * shape.logits(), source,
            softmax_of(shape, stats, image),
            out.data_ptr<float>() + image * shape.tokens * shape.dim, scratch);
      });
    });
    context->save_for_backward({outputs, logits, stats, out});
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list d_outputs) {
    const auto saved = context->get_saved_variables();
    const auto& [outputs, logits, stats, out] = std::tie(saved[0], saved[1], saved[2], saved[3]);
    const auto shape = call_of(outputs, logits);
    const auto d_out = d_outputs[0].to(torch::kFloat32).contiguous();
    auto d_expert_outputs = at::empty_like(outputs);  // [experts, rows, dim]
    auto d_logits = at::empty_like(logits);           // [batch, panels, tokens, 32]
    const auto [source, target] = std::pair(source_of(outputs), target_of(d_expert_outputs));
    run_team([&](const ThreadTeam& team) {
      for_each_image(team, shape, [&](int64_t image, float* scratch) {
        const int64_t at = image * shape.tokens * shape.dim;
        const int64_t at_logits = image * shape.logits();
        kernels::table().soft_combine_backward(
            shape, image, logits.const_data_ptr<float>() + at_logits,
            softmax_of(shape, stats, image), source, out.const_data_ptr<float>() + at,
            d_out.const_data_ptr<float>() + at, target, d_logits.data_ptr<float>() + at_logits,
            scratch);
      });
    });
    return {d_expert_outputs, d_logits};
  }

 private:
  static MixingShape call_of(const torch::Tensor& outputs, const torch::Tensor& logits) {
    return {.batch = logits.size(0),
            .tokens = logits.size(2),
            .experts = outputs.size(0),
            .slots_per_expert = outputs.size(1) / logits.size(0),
            .dim = outputs.size(2),
            .eps = 0.0F};
  }
};

}  // namespace

bool takes_soft_mixing(const torch::Tensor& tokens) { return tokens.size(-1) % 16 == 0; }

PanelDispatch soft_dispatch(const torch::Tensor& tokens, const torch::Tensor& keys, int64_t experts,
                            double eps, Precision precision) {
  check_shape("soft_dispatch: tokens", tokens, {-1, -1, -1});
  check_shape("soft_dispatch: keys", keys, {tokens.size(2), -1});
  TORCH_CHECK_VALUE(tokens.size(2) % 16 == 0 && keys.size(1) % experts == 0,
                    "soft_dispatch: ", tokens.size(2), " channels, ", keys.size(1), " slots of ",
                    experts, " experts");
  const auto outputs = DispatchFunction::apply(tokens, keys, experts, eps, precision);
  return {.expert_inputs = outputs[0], .logits = outputs[1]};
}

torch::Tensor soft_combine(const torch::Tensor& expert_outputs, const torch::Tensor& logits) {
  check_shape("soft_combine: expert outputs", expert_outputs, {-1, -1, -1});
  check_shape("soft_combine: logits", logits, {-1, -1, -1, kPanelSlots});
  const int64_t rows = expert_outputs.size(1);
  const int64_t slots = expert_outputs.size(0) * (rows / logits.size(0));
  TORCH_CHECK_VALUE(rows % logits.size(0) == 0 && expert_outputs.size(2) % 16 == 0 &&
                        (slots + kPanelSlots - 1) / kPanelSlots == logits.size(1) &&
                        logits.is_contiguous() && logits.scalar_type() == torch::kFloat32,
                    "soft_combine: expert outputs ", expert_outputs.sizes(), ", logits ",
                    logits.sizes());
  return CombineFunction::apply(expert_outputs, logits);
}

torch::Tensor logits_from_panels(const torch::Tensor& panels, int64_t slots) {
  check_shape("logits_from_panels: panels", panels, {-1, -1, -1, kPanelSlots});
  return panels.transpose(1, 2).flatten(2).narrow(2, 0, slots);  // [batch, tokens, slots]
}

}  // namespace softmoe::fused
