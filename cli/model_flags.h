#pragma once
/// The flag that names a model of the zoo.

#include <string>

#include "core/options.h"
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

}  // namespace softmoe::cli
