#include "train/world_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/registry.h"
#include "softmoe/routers.h"
#include "train/optimizers.h"

namespace softmoe {
namespace {

/// Images that MoE layers route together.
int64_t images_together(const VitOptions& model) {
  const bool is_grouped =
      has_moe(model) && router_row(model.moe.router).scope != RoutingScope::kImage;
  return is_grouped ? std::max<int64_t>(1, model.moe.sparse.group_images) : 1;
}

[[noreturn]] void refuse(const TrainingSetup& setup, const std::string& option,
                         const std::string& expected, const std::string& found) {
  throw UsageError("--" + option, fmt::format("{} with {} processes", expected, setup.world.size()),
                   found);
}

void check_router(const TrainingSetup& setup) {
  const auto& model = setup.start.model->options();
  if (!has_moe(model)) {
    return;
  }
  const auto& moe = model.moe;
  const auto scope = router_row(moe.router).scope;
  if (scope == RoutingScope::kBatch) {
    refuse(setup, "router", "one that does not look at whole batches", moe.router);
  }
  if (moe.sparse.selection_bias_rate > 0 && scope != RoutingScope::kImage) {
    refuse(setup, "selection-bias-rate", "0", fmt::format("{:g}", moe.sparse.selection_bias_rate));
  }
  const int64_t group = moe.sparse.group_images;
  const int64_t batch = setup.options.loader.batch_size;
  const bool is_whole = scope == RoutingScope::kGroup && group == 0;
  if (is_whole || (scope != RoutingScope::kImage && batch % images_together(model) != 0)) {
    refuse(setup, "group-images",
           fmt::format("images that router {} sees together, a divisor of --batch-size {},",
                       moe.router, batch),
           is_whole ? "0, the whole batch" : std::to_string(group));
  }
}

/// Throws UsageError unless experts can be shared out as --expert-parallel says.
void check_expert_parallel(const TrainingSetup& setup) {
  const int64_t ranks = setup.options.parallel.expert_parallel;
  if (ranks == 1) {
    return;
  }
  const auto require = [ranks](bool fits, const std::string& expected) {
    if (!fits) {
      throw UsageError("--expert-parallel", expected, std::to_string(ranks));
    }
  };
  const auto& model = setup.start.model->options();
  require(has_moe(model), "1 for a model without MoE layers");
  require(setup.world.size() % ranks == 0,
          fmt::format("a divisor of the number of processes, {}", setup.world.size()));
  require(model.moe.experts % ranks == 0,
          fmt::format("a divisor of --experts {}", model.moe.experts));
  require(router_row(model.moe.router).kind != RoutingKind::kMerged,
          fmt::format("1 with --router {}, which merges all experts", model.moe.router));
  const auto& optimizer = setup.options.optimizer.opt;
  require(find_row(optimizers(), optimizer, "optimizer").by_expert,
          fmt::format("1 with --opt {}, which looks at all experts of a layer", optimizer));
}

/// The options and data that all processes must agree on.
Json identity(const TrainingSetup& setup, const DataIdentity& data) {
  static const std::set<std::string> kFree{"data-dir", "device",  "json",    "max-bad-images",
                                           "prefetch", "profile", "threads", "workers"};
  Json options = setup.config;
  for (const auto& name : kFree) {
    options.erase(name);
  }
  return {{"options", options},
          {"classes", data.class_names},
          {"data", to_json(data)},
          {"weights", setup.start.model_name}};
}

}  // namespace

BatchShare batch_share(const TrainingSetup& setup) {
  return {.rank = setup.world.rank(),
          .ranks = setup.world.size(),
          .unit = images_together(setup.start.model->options())};
}

bool has_even_batches(const TrainingSetup& setup) {
  const int64_t units =
      setup.options.loader.batch_size / images_together(setup.start.model->options());
  return units % setup.world.size() == 0;
}

bool draws_by_image(const TrainingSetup& setup) {
  const auto& model = setup.start.model->options();
  const auto& moe = model.moe;
  const bool drops_in_experts = has_moe(model) && (model.drop > 0 || moe.expert_drop > 0);
  return model.attn_drop <= 0 && !drops_in_experts && moe.sparse.second_expert_threshold <= 0;
}

UpdatePart update_part(const TrainingState& state) {
  const auto& setup = state.setup;
  const int64_t batch = setup.options.loader.batch_size;
  return {.reducer = state.reducer.get(),
          .expert_reducer = state.expert_reducer.get(),
          .shares_experts = setup.experts != nullptr,
          .rows = batch_share(setup).rows_of(batch),
          .batch = batch,
          .draws_by_image = !setup.world.is_alone() && draws_by_image(setup)};
}

LoaderOptions fed_loader(const TrainingSetup& setup) {
  auto loader = training_loader(setup.options);
  loader.share = batch_share(setup);
  return loader;
}

void check_world(const TrainingSetup& setup) {
  check_expert_parallel(setup);
  if (setup.world.is_alone()) {
    return;
  }
  const auto& options = setup.options;
  if (setup.image_text) {
    refuse(setup, "objective", "classification", "contrastive");
  }
  if (setup.instruction) {
    throw UsageError("softmoe tune", "one process", fmt::format("{}", setup.world.size()));
  }
  if (setup.upcycling) {
    refuse(setup, "upcycle-at", "none", "one");
  }
  if (mixes(options.mixup, 0)) {
    refuse(setup, options.mixup.mixup > 0 ? "mixup" : "cutmix", "0", mixing_text(options.mixup));
  }
  check_router(setup);
  const int64_t units = options.loader.batch_size / images_together(setup.start.model->options());
  if (units < setup.world.size()) {
    refuse(setup, "batch-size",
           images_together(setup.start.model->options()) > 1
               ? "at least --group-images images for each process"
               : "at least one image for each process",
           std::to_string(options.loader.batch_size));
  }
}

void check_agreement(const TrainingSetup& setup, const DataIdentity& data) {
  const auto own = identity(setup, data);
  const auto texts = setup.world.gather_texts(json_text(own));
  const auto first = Json::parse(texts.front());
  for (size_t rank = 1; rank < texts.size(); ++rank) {
    const auto other = Json::parse(texts[rank]);
    if (other == first) {
      continue;
    }
    for (const auto& [name, value] : first.at("options").items()) {
      const auto found = other.at("options").value(name, Json());
      if (found != value) {
        throw InputError(fmt::format("rank {}: --{}", rank, name),
                         json_text(value) + " as on rank 0", json_text(found));
      }
    }
    throw InputError(fmt::format("rank {}: the data", rank), "those of rank 0",
                     "other images or classes");
  }
}

}  // namespace softmoe
