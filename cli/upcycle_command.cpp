#include <fmt/format.h>

#include "checkpoints/surgery/upcycled_checkpoint.h"
#include "cli/checkpoint_flags.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "softmoe/routers.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

struct UpcycleFlags {
  std::string checkpoint;
  std::string output;
  int64_t seed = 0;
  std::string moe_blocks = UpcycleTarget{}.moe_blocks;

  bool operator==(const UpcycleFlags&) const = default;
};

void describe(OptionTable& table, UpcycleFlags& flags) {
  table.add("checkpoint", flags.checkpoint, "the dense model", {.unit = "file"});
  table.add("output", flags.output, "where the model with MoE layers goes", {.unit = "file"});
  table.add("seed", flags.seed, "seed of routers, noise and a new head", {.min = 0});
  table.add("moe-blocks", flags.moe_blocks,
            "blocks whose MLP becomes experts: all, last_half, last_N, every_N or a list 1,3,5");
}

void check_flags(const MoeOptions& moe) {
  if (moe.experts < 1) {
    throw UsageError("--experts is missing: how many experts take the place of an MLP");
  }
}

/// The flags with which a router of EqualExperts::kRenormalized starts with the outputs of the
/// dense model.
std::string renormalizing_flags(const MoeOptions& moe) {
  const auto& options = router_row(moe.router).options;
  const bool takes_top_k = std::find(options.begin(), options.end(), "top-k") != options.end();
  // A single gate that is always 1 would give the router no gradient.
  const bool needs_two = takes_top_k && moe.sparse.top_k == 1 && moe.experts > 1;
  return needs_two ? "--top-k 2 --renormalize-gates" : "--renormalize-gates";
}

/// A note about the outputs of the new model before it is trained.
std::string outputs_note(const VitOptions& options, double expert_noise) {
  if (keeps_dense_outputs(options)) {
    return expert_noise > 0 ? "starts near the outputs of the dense model, up to the noise"
                            : "starts with the outputs of the dense model if no token is dropped";
  }
  if (router_row(options.moe.router).equal_experts == EqualExperts::kRenormalized) {
    return "starts with outputs of its own; with " + renormalizing_flags(options.moe) +
           " those of the dense model";
  }
  return fmt::format("starts with outputs of its own, as router {} does for equal experts",
                     options.moe.router);
}

}  // namespace

void run_upcycle(const std::vector<std::string>& arguments) {
  UpcycleFlags flags;
  UpcycleOptions upcycling;
  MoeOptions moe;
  CommandLine line(
      "upcycle",
      "Make a model with MoE layers from a dense one, for further training: each "
      "expert is a copy of the MLP, routers start anew, everything else is carried over "
      "(Komatsuzaki et al., arXiv:2212.05055).");
  line.add("Upcycling", flags);
  line.add_operand("checkpoint");
  line.add_operand("output");
  line.add("Experts", upcycling);
  line.add("MoE layers", moe);
  if (!line.parse(arguments)) {
    return;
  }
  apply_router_init(line, moe, moe);
  check_output(flags.checkpoint, flags.output);
  check_flags(moe);
  const auto [checkpoint, from, to] = upcycle_checkpoint(
      flags.checkpoint, {.moe_blocks = flags.moe_blocks, .moe = moe}, upcycling, flags.seed);
  save_checkpoint(flags.output, checkpoint);

  const auto before = model_cost(from);
  const auto after = model_cost(to);
  const auto note = outputs_note(to, upcycling.noise());
  print_line("{}: {:.2f} M parameters (dense {:.2f} M), {:.4f} GFLOP/img (dense {:.4f}); {}",
             flags.output, static_cast<double>(after.parameters()) / 1e6,
             static_cast<double>(before.parameters()) / 1e6, after.gflop, before.gflop, note);
  line.write_json({{"output", flags.output},
                   {"model", options_to_json(to)},
                   {"parameters", after.parameters()},
                   {"gflop", after.gflop},
                   {"dense_parameters", before.parameters()},
                   {"dense_gflop", before.gflop},
                   {"keeps_dense_outputs", keeps_dense_outputs(to)}});
}

}  // namespace softmoe::cli
