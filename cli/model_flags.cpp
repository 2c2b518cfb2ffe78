#include "cli/model_flags.h"

#include "core/error.h"

namespace softmoe::cli {

VitOptions changed_model(const CommandLine& line, const std::string& name) {
  auto options = model_preset(name);
  line.apply(options);
  try {
    validate(options);
  } catch (const UsageError& error) {
    throw UsageError(name + ": " + error.what());
  }
  return options;
}

}  // namespace softmoe::cli
