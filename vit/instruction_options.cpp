#include "vit/instruction_options.h"

#include <fmt/format.h>

#include "core/error.h"
#include "softmoe/routers.h"

namespace softmoe {

void describe(OptionTable& table, InstructionOptions& options) {
  describe(table, options.image);
  describe_instruction_side(table, options);
}

void describe_instruction_side(OptionTable& table, InstructionOptions& options) {
  table.add_all("text-", option_table(options.text));
  table.add("logit-scale", options.logit_scale,
            "initial factor of the cosines of questions and answers; learned",
            {.min = 1e-6, .max = 1e6});
}

void validate(const InstructionOptions& options) {
  validate(options.image);
  validate(options.text, "text-");
  if (options.image.num_classes != 0) {
    throw UsageError("num-classes", "0 for a model that follows instructions",
                     std::to_string(options.image.num_classes));
  }
  if (options.image.dist_token) {
    throw UsageError("dist-token", "none in a model that follows instructions", "true");
  }
  const auto& router = options.image.moe.router;
  if (has_moe(options.image) && router_row(router).texts == TextRouting::kNone) {
    throw UsageError("router", "one that takes texts: " + text_router_names(), router);
  }
}

InstructionOptions instruction_options(const VitOptions& image) {
  InstructionOptions options{.image = image, .text = {}};
  options.image.num_classes = 0;
  options.image.dist_token = false;
  auto& text = options.text;
  text.dim = image.dim;
  text.depth = 2;
  text.heads = image.heads;
  text.mlp_dim = image.mlp_dim;
  text.embed_dim = image.dim;
  text.causal = false;
  text.pool = TextPool::kMean;
  text.gelu = image.gelu;
  text.norm_eps = image.norm_eps;
  return options;
}

}  // namespace softmoe
