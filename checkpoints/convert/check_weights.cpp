#include "checkpoints/convert/check_weights.h"

#include <fmt/format.h>

#include "checkpoints/convert/family_weights.h"
#include "checkpoints/load_into.h"
#include "checkpoints/make_model.h"
#include "core/error.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

/// Throws if no model of `options` can be made, or only one that is far larger than `weights`.
void check_size(const VitOptions& options, const NamedTensors& weights, const std::string& where) {
  int64_t needed = 0;
  try {
    needed = model_cost(options).parameters();
  } catch (const UsageError& error) {
    throw InputError(where + ": " + error.what());  // wrong in a file, not on the command line
  }
  int64_t present = 0;
  for (const auto& [name, tensor] : weights) {
    present += tensor.numel();
  }
  constexpr int64_t kSlack = 1 << 20;
  if (needed > 2 * present + kSlack) {
    throw InputError(where + ": tensors do not fit the model", fmt::format("{} parameters", needed),
                     fmt::format("{}", present));
  }
}

}  // namespace

void check_weights(const NamedTensors& weights, const VitOptions& options, const Family& family,
                   const std::string& where) {
  check_size(options, weights, where);
  check_fit(*unfilled_model(options), weights, where,
            {.described = [&](const std::string& name) { return name_with_family(family, name); }});
}

}  // namespace softmoe
