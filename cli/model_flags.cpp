#include "cli/model_flags.h"

#include "core/error.h"

namespace softmoe::cli {

void apply_model_flags(const CommandLine& line, VitOptions& options) {
  line.apply(options);
  apply_router_init(line, options, options.moe);
}

VitOptions changed_model(const CommandLine& line, const std::string& name) {
  auto options = model_preset(name);
  apply_model_flags(line, options);
  try {
    validate(options);
  } catch (const UsageError& error) {
    throw UsageError(name + ": " + error.what());
  }
  return options;
}

}  // namespace softmoe::cli
