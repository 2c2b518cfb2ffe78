#pragma once
/// The flags that name a model of the zoo and change parts of it.

#include <string>

#include "cli/command_line.h"
#include "core/options.h"
#include "softmoe/router_presets.h"
#include "vit/zoo.h"

namespace softmoe::cli {

struct ModelOptions {
  std::string model = "vit_s16";

  bool operator==(const ModelOptions&) const = default;
};

inline void describe(OptionTable& table, ModelOptions& options) {
  table.add("model", options.model,
            "a model of the zoo (softmoe models); the options below change parts of it");
}

/// Sets the options of `--router-init`, if it is given, in `moe`, and what the user gave on `line`
/// on `options`, of which `moe` is all or a part.
template <typename Options>
void apply_router_init(const CommandLine& line, Options& options, MoeOptions& moe) {
  if (line.given("router-init")) {
    apply_router_preset(moe);
    line.apply(options);
  }
}

/// Sets what the user gave on `line` on `options`; options of `--router-init` come before.
void apply_model_flags(const CommandLine& line, VitOptions& options);

/// The model `name` of the zoo with the parts that the user gave on `line`; throws UsageError that
/// names the model if they contradict each other.
VitOptions changed_model(const CommandLine& line, const std::string& name);

}  // namespace softmoe::cli
