#include "bench/router_table.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "benchmark/throughput.h"
#include "core/error.h"
#include "core/table.h"
#include "core/text_format.h"
#include "ops/initialization.h"
#include "softmoe/routers.h"
#include "train/optimizers.h"
#include "train/train_step.h"
#include "vit/cost.h"
#include "vit/zoo.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// One model of a table and what was measured of it.
struct Contender {
  std::string name;
  VitOptions options;
  RouterLossOptions losses;
  VisionTransformer model{nullptr};
  std::vector<double> forward{};   // ms, one a round
  std::vector<double> backward{};  // ms

  std::vector<double> both() const {
    std::vector<double> sums;
    for (size_t round = 0; round < forward.size(); ++round) {
      sums.push_back(forward[round] + backward[round]);
    }
    return sums;
  }
};

/// The dense model whose MLPs are wide enough for the GFLOP of `options`.
VitOptions dense_of_equal_cost(const VitOptions& dense, const VitOptions& options) {
  auto wider = dense;
  wider.mlp_dim *= 2;
  const double base = model_cost(dense).gflop;
  const double slope = (model_cost(wider).gflop - base) / static_cast<double>(dense.mlp_dim);
  const double extra = (model_cost(options).gflop - base) / slope;
  constexpr double kMultiple = 32;
  wider.mlp_dim = dense.mlp_dim + static_cast<int64_t>(std::round(extra / kMultiple) * kMultiple);
  return wider;
}

VitOptions moe_options_of(const VitOptions& dense, const std::string& router,
                          const TableLayer& layer) {
  auto options = dense;
  options.moe_blocks = "last_half";
  options.moe.router = router;
  options.moe.experts = layer.experts;
  options.moe.slots_per_expert = layer.slots_per_expert;
  options.moe.capacity_factor = static_cast<double>(layer.experts * layer.slots_per_expert) /
                                static_cast<double>(options.tokens());
  return options;
}

/// Why the router of `options` has no place in a table of equal expert rows, or "".
std::string reason_to_skip(const VitOptions& options) {
  try {
    validate(options);
    if (options.moe.router == "relu") {
      return "every second expert for each token, before it is trained to be sparse";
    }
    const auto& row = router_row(options.moe.router);
    const double rows = row.cost(moe_layer_options(options)).expert_rows;
    const auto slots = static_cast<double>(options.moe.experts * options.moe.slots_per_expert);
    const double limit = 1.05 * std::max(slots, static_cast<double>(options.tokens()));
    return rows > limit ? fmt::format("{:.0f} expert rows an image", rows) : "";
  } catch (const UsageError& error) {
    return error.what();
  }
}

/// A model that shares the weights of `base` that it has, too, and draws its routers' own.
VisionTransformer make_model(const VitOptions& options, const VisionTransformer& base) {
  if (!base) {
    return VisionTransformer(options);
  }
  const auto model = [&] {
    const SkipInitialization skip;
    return VisionTransformer(options);
  }();
  auto layer = moe_layer_options(options);
  layer.hidden_dim = 1;  // only its router is of interest
  const auto donor = MoeLayer(layer);
  const torch::NoGradGuard no_grad;
  const auto take = [&](auto own, const auto& shared, const auto& of_donor) {
    for (auto& item : own) {
      const auto router = item.key().find(".moe.router.");
      if (router != std::string::npos) {
        item.value().copy_(of_donor[item.key().substr(router + 5)]);
      } else {
        item.value().set_data(shared[item.key()]);
      }
    }
  };
  take(model->named_parameters(), base->named_parameters(), donor->named_parameters());
  take(model->named_buffers(), base->named_buffers(), donor->named_buffers());
  return model;
}

/// The loss of one training step in bf16, [].
torch::Tensor loss_of(Contender& contender, const torch::Tensor& images,
                      const torch::Tensor& labels) {
  return step_loss(contender.model, {.images = images, .labels = labels, .indices = {}},
                   {.loss = {}, .router_losses = contender.losses},
                   {.compute_dtype = torch::kBFloat16})
      .loss;
}

void run_step(Contender& contender, const torch::Tensor& images, const torch::Tensor& labels,
              bool timed) {
  at::manual_seed(2);
  const auto start = Clock::now();
  const auto loss = loss_of(contender, images, labels);
  const auto middle = Clock::now();
  loss.backward();
  const double backward = milliseconds_since(middle);
  TORCH_CHECK(std::isfinite(loss.item<float>()), contender.name, ": the loss is not finite");
  contender.model->zero_grad();
  if (timed) {
    contender.forward.push_back(milliseconds_since(start) - milliseconds_since(middle));
    contender.backward.push_back(backward);
  }
}

/// Milliseconds of clipping and one AdamW update.
double update_time(Contender& contender, const torch::Tensor& images, const torch::Tensor& labels) {
  const OptimizerOptions options;
  const auto optimizer = make_optimizer(named_parameters(*contender.model), options);
  double best = 0;
  for (int update = 0; update < 3; ++update) {
    loss_of(contender, images, labels).backward();
    const auto start = Clock::now();
    optimizer->clip_and_step(/*lr=*/1e-5, options.clip_grad);
    const double time = milliseconds_since(start);
    best = update < 2 ? time : std::min(best, time);  // the first makes the state
    optimizer->zero_grad();
  }
  return best;
}

/// The models of one table: dense, dense of the GFLOP of soft routing, and all routers.
std::vector<Contender> contenders_of(const RouterTableOptions& options, const TableLayer& layer,
                                     Json& skipped) {
  const auto dense = model_preset(options.model);
  std::vector<Contender> contenders{{.name = "dense", .options = dense, .losses = {}}};
  const auto soft = moe_options_of(dense, "soft", layer);
  contenders.push_back(
      {.name = "dense of soft's GFLOP", .options = dense_of_equal_cost(dense, soft), .losses = {}});
  for (const auto& row : router_rows()) {
    const std::string name(row.name);
    if (!options.routers.empty() &&
        std::find(options.routers.begin(), options.routers.end(), name) == options.routers.end()) {
      continue;
    }
    const auto sizes = moe_options_of(dense, name, layer);
    if (const auto reason = reason_to_skip(sizes); !reason.empty()) {
      skipped[name] = reason;
      continue;
    }
    contenders.push_back({.name = name, .options = sizes, .losses = default_router_losses(row)});
  }
  VisionTransformer first{nullptr};
  for (auto& contender : contenders) {
    const bool shares = contender.options.moe_blocks != "none";
    contender.model = make_model(contender.options, shares ? first : VisionTransformer{nullptr});
    contender.model->train();
    first = shares && !first ? contender.model : first;
  }
  return contenders;
}

Json measure_layer(const RouterTableOptions& options, const TableLayer& layer) {
  at::manual_seed(1);
  Json skipped = Json::object();
  auto contenders = contenders_of(options, layer, skipped);
  const auto& sizes = contenders.front().options;
  const auto images =
      torch::rand({options.batch, 3, sizes.image_height(), sizes.image_width()}) * 2 -
      1;  // [batch, channels, height, width]
  const auto labels = torch::randint(sizes.num_classes, {options.batch});
  for (auto& contender : contenders) {
    contender.model->fit_routers(images);
  }
  for (int64_t round = 0; round < options.rounds; ++round) {
    for (auto& contender : contenders) {
      // Training repeats one model's steps: the first finds the memory of another one.
      run_step(contender, images, labels, /*timed=*/false);
      run_step(contender, images, labels, /*timed=*/true);
    }
  }
  const auto time_of = [&](const std::string& name) {
    for (const auto& contender : contenders) {
      if (contender.name == name) {
        return spread_of(contender.both()).median;
      }
    }
    return std::numeric_limits<double>::quiet_NaN();
  };
  const double dense = time_of("dense of soft's GFLOP");
  const double soft = time_of("soft");
  TextTable table({"router", "parameters", "GFLOP", "rows", "forward ms", "backward ms", "sum",
                   "min - max", "x dense", "x soft"});
  Json records = Json::array();
  for (const auto& contender : contenders) {
    const auto cost = model_cost(contender.options);
    const bool is_moe = contender.options.moe_blocks != "none";
    const auto sum = spread_of(contender.both());
    const double forward = spread_of(contender.forward).median;
    const double backward = spread_of(contender.backward).median;
    const double rows = is_moe ? router_row(contender.options.moe.router)
                                     .cost(moe_layer_options(contender.options))
                                     .expert_rows
                               : static_cast<double>(contender.options.tokens());
    table.add_row(
        {contender.name, format_count(cost.parameters()), fmt::format("{:.2f}", cost.gflop),
         fmt::format("{:.0f}", rows), fmt::format("{:.0f}", forward),
         fmt::format("{:.0f}", backward), fmt::format("{:.0f}", sum.median),
         fmt::format("{:.0f} - {:.0f}", sum.minimum, sum.maximum),
         fmt::format("{:.2f}", sum.median / dense), fmt::format("{:.2f}", sum.median / soft)});
    records.push_back({{"router", contender.name},
                       {"parameters", cost.parameters()},
                       {"gflop", cost.gflop},
                       {"expert_rows", rows},
                       {"forward_ms", contender.forward},
                       {"backward_ms", contender.backward},
                       {"median_ms", sum.median},
                       {"ratio_to_dense_of_equal_gflop", sum.median / dense},
                       {"ratio_to_soft", sum.median / soft}});
  }
  fmt::print("\n{} with {} experts of {} slots in the last half, batch {}, bf16\n{}", options.model,
             layer.experts, layer.slots_per_expert, options.batch, table.text());
  for (const auto& [name, reason] : skipped.items()) {
    fmt::print("left out: {} ({})\n", name, reason.get<std::string>());
  }
  Json updates = Json::object();
  for (auto& contender : contenders) {
    if (contender.name == "dense" || contender.name == "soft") {
      updates[contender.name] = update_time(contender, images, labels);
      fmt::print("clipping and AdamW update of {}: {:.0f} ms\n", contender.name,
                 updates[contender.name].get<double>());
    }
  }
  std::fflush(stdout);
  return {{"experts", layer.experts}, {"slots_per_expert", layer.slots_per_expert},
          {"batch", options.batch},   {"records", records},
          {"left_out", skipped},      {"update_ms", updates}};
}

}  // namespace

Json measure_router_table(const RouterTableOptions& options) {
  Json tables = Json::array();
  for (const auto& layer : options.layers) {
    tables.push_back(measure_layer(options, layer));
  }
  return tables;
}

}  // namespace softmoe
