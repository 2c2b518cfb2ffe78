#include "train/memory_plan.h"

#include <ATen/ops/empty.h>
#include <fmt/format.h>

#include <algorithm>

#include "checkpoints/make_model.h"
#include "core/error.h"
#include "core/log.h"
#include "core/text_format.h"
#include "softmoe/routers.h"
#include "train/expert_parallel.h"
#include "train/optimizers.h"
#include "vit/moe_blocks.h"

namespace softmoe {
namespace {

constexpr int64_t kFp32 = 4;

/// Bytes per image that the parts of a model keep for the backward pass.
class ActivationBytes {
 public:
  ActivationBytes(const VitOptions& model, Precision compute)
      : model_(model),
        short_(compute == Precision::kBFloat16 ? 2 : kFp32),
        stream_(kFp32 * model.tokens() * model.dim) {}

  /// Patches and tokens.
  int64_t embedding() const {
    const int64_t pixels = model_.in_chans * model_.patch_size * model_.patch_size;
    return kFp32 * model_.patches() * pixels + stream_;
  }
  /// Normed tokens, queries, keys and values, mixed values; the tokens before and after.
  int64_t attention() const { return 2 * stream_ + short_ * model_.tokens() * 5 * model_.dim; }
  /// Normed tokens and what the activation function gets.
  int64_t mlp(int64_t rows) const { return mlp(rows, hidden()); }
  /// Tokens, scores, what the experts get and give, the sum.
  int64_t moe() const {
    const auto layer = moe_layer_options(model_);
    const auto& row = router_row(model_.moe.router);
    const auto rows = static_cast<int64_t>(row.cost(layer).expert_rows);
    const int64_t scores =
        row.mixing ? model_.moe.experts * model_.moe.slots_per_expert : 3 * model_.moe.experts;
    const int64_t shared = model_.moe.shared_mlp ? mlp(model_.tokens()) : 0;
    return 2 * stream_ + kFp32 * model_.tokens() * scores + mlp(rows, layer.hidden_dim) + shared +
           short_ * rows * model_.dim;
  }
  int64_t block(bool has_moe) const {
    return attention() + (has_moe ? moe() : mlp(model_.tokens()));
  }
  /// The gradients of one block while it is gone through backward.
  int64_t work() const {
    return 2 * stream_ + short_ * model_.tokens() * (3 * model_.dim + 2 * hidden());
  }
  int64_t stream() const { return stream_; }
  /// Logits, targets and logarithms of probabilities, and the gradients of the latter two.
  int64_t loss() const {
    const int64_t converted = short_ == kFp32 ? 0 : 2 * short_;
    return model_.num_classes * (5 * kFp32 + converted);
  }
  /// Targets of mixed images.
  int64_t targets() const { return kFp32 * model_.num_classes; }

 private:
  int64_t mlp(int64_t rows, int64_t width) const { return short_ * rows * (model_.dim + width); }
  int64_t hidden() const {
    return model_.mlp_layer == MlpLayer::kSwiGlu ? 2 * model_.mlp_dim : model_.mlp_dim;
  }

  const VitOptions& model_;
  int64_t short_;   // bytes of a value that enters products
  int64_t stream_;  // bytes of the tokens of an image
};

/// Fills in what depends on parameters alone.
void count_parameters(MemoryPlan& plan, const VitOptions& model, const RunOptions& options,
                      int64_t processes) {
  auto module = unfilled_model(model);
  set_trainable(*module, options.trainable);
  std::vector<NamedParameter> shapes;  // without memory
  const int64_t ranks = options.parallel.expert_parallel;
  for (const auto& [name, tensor] : named_parameters(*module)) {
    auto shape = tensor.sizes().vec();
    if (is_expert_parameter(name)) {
      shape.front() /= ranks;
    }
    const bool is_summed = processes > (is_expert_parameter(name) ? ranks : 1);
    const auto own = at::empty(shape, torch::device(torch::kMeta));
    plan.weights += kFp32 * own.numel();
    if (tensor.requires_grad()) {
      plan.gradients += kFp32 * own.numel();
      plan.buckets += is_summed ? kFp32 * own.numel() : 0;
      shapes.push_back({name, own.requires_grad_()});
    }
  }
  for (const auto& [name, tensor] : make_optimizer(shapes, options.optimizer)->state()) {
    plan.optimizer += static_cast<int64_t>(tensor.nbytes());
  }
  if (options.train.model_ema) {
    plan.averages = plan.weights * static_cast<int64_t>(options.train.model_ema_decay.size());
  }
}

/// The most that the loss or a block takes while gradients of activations are computed.
int64_t work_bytes(const VitOptions& model, const RunOptions& options, const ActivationBytes& bytes,
                   int64_t batch) {
  const int64_t rows = loss_rows(options.objectives.loss, batch, model.num_classes);
  const int64_t head = kFp32 * model.num_classes * model.head_inputs();
  // The gradient of the head grows by that of each chunk, beside the weights that are packed for
  // the products of forward and backward pass.
  const int64_t loss = bytes.loss() * rows + (rows < batch ? 5 : 1) * head;
  return std::max(loss, bytes.work() * batch + head);
}

/// Returns true if outputs of the model depend on which images share a batch: sparse routers decide
/// over groups of images.
bool depends_on_batches(const VitOptions& model) {
  return has_moe(model) && !router_row(model.moe.router).mixing.has_value();
}

}  // namespace

int64_t MemoryPlan::peak() const {
  const int64_t moving =
      adds_up ? activations + work + gradients : std::max(activations + work, gradients);
  return weights + optimizer + averages + buckets + moving;
}

int64_t MemoryPlan::process_peak() const {
  constexpr int64_t kProgram = 500'000'000;
  return peak() + peak() / 10 + kProgram;
}

MemoryPlan plan_memory(const VitOptions& model, const RunOptions& options, Precision compute,
                       int64_t processes) {
  validate(model);
  MemoryPlan plan;
  count_parameters(plan, model, options, processes);
  if (options.parallel.reduce_dtype == Precision::kBFloat16) {
    plan.buckets /= 2;
  }
  plan_batches(plan, model, options, compute, processes);
  return plan;
}

void plan_batches(MemoryPlan& plan, const VitOptions& model, const RunOptions& options,
                  Precision compute, int64_t processes) {
  const int64_t batch = (options.loader.batch_size + processes - 1) / processes;
  const ActivationBytes bytes(model, compute);
  int64_t per_image = bytes.embedding();
  int64_t largest = 0;
  for (const bool has_moe : moe_block_mask(model.moe_blocks, model.depth)) {
    largest = std::max(largest, bytes.block(has_moe));
    per_image += options.train.grad_checkpointing ? bytes.stream() : bytes.block(has_moe);
  }
  per_image += options.train.grad_checkpointing ? largest : 0;
  plan.activations = per_image * batch;
  if (mixes(options.mixup, 0)) {
    plan.activations += bytes.targets() * batch;
  }
  plan.work = work_bytes(model, options, bytes, batch);
  plan.adds_up = options.train.grad_accum_steps > 1 || options.train.grad_checkpointing ||
                 options.optimizer.sam_rho > 0.0;
}

std::string MemoryFit::flags() const {
  return fmt::format("--batch-size {} --grad-accum-steps {}{}", batch_size, grad_accum_steps,
                     grad_checkpointing ? " --grad-checkpointing" : "");
}

MemoryFit fit_memory(const VitOptions& model, const RunOptions& options, Precision compute,
                     int64_t bytes) {
  auto tried = options;
  const int64_t images = options.loader.batch_size * options.train.grad_accum_steps;
  const auto plan_with = [&](int64_t batch_size, bool recompute) {
    tried.loader.batch_size = batch_size;
    tried.train.grad_accum_steps = images / batch_size;
    tried.train.grad_checkpointing = recompute;
    return MemoryFit{.batch_size = batch_size,
                     .grad_accum_steps = tried.train.grad_accum_steps,
                     .grad_checkpointing = recompute,
                     .plan = plan_memory(model, tried, compute)};
  };
  const bool keeps_batches = depends_on_batches(model);
  MemoryFit smallest;
  for (const bool recompute : {options.train.grad_checkpointing, true}) {
    for (int64_t batch = options.loader.batch_size; batch > 0; --batch) {
      if (images % batch != 0 || (keeps_batches && batch != options.loader.batch_size)) {
        continue;
      }
      smallest = plan_with(batch, recompute);
      if (smallest.plan.process_peak() <= bytes) {
        return smallest;
      }
    }
  }
  throw UsageError("--fit-memory",
                   fmt::format("at least {}, which {} takes",
                               format_bytes(static_cast<double>(smallest.plan.process_peak())),
                               smallest.flags()),
                   format_bytes(static_cast<double>(bytes)));
}

void apply_memory_limit(const VitOptions& model, RunOptions& options, Precision compute) {
  const auto& text = options.train.fit_memory;
  if (text.empty()) {
    return;
  }
  const auto bytes = parse_bytes(text);
  if (!bytes) {
    throw UsageError("--fit-memory", "a size such as 20GiB or 500MB",
                     "'" + printable_text(text) + "'");
  }
  const auto fit = fit_memory(model, options, compute, *bytes);
  options.loader.batch_size = fit.batch_size;
  options.train.grad_accum_steps = fit.grad_accum_steps;
  options.train.grad_checkpointing = fit.grad_checkpointing;
  log_line(fmt::format("memory: about {} of {} with {}",
                       format_bytes(static_cast<double>(fit.plan.process_peak())), text,
                       fit.flags()));
}

}  // namespace softmoe
