#pragma once
/// A foreign model with a config beside it.

#include <gtest/gtest.h>

#include <string>

#include "checkpoints/convert/family_weights.h"
#include "checkpoints/convert/foreign_model.h"
#include "checkpoints/formats/safetensors.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/square_models.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe::test {

class ConfiguredModel : public testing::Test {
 protected:
  /// Writes a model of `options` under the names of `family`.
  void write(const std::string& family, const VitOptions& options) {
    write_safetensors(folder_ / "model.safetensors",
                      to_family_names(named_tensors(*lively_model(options)), find_family(family),
                                      options.heads, "model"),
                      {});
  }

  /// Reads it back beside the text `config`.
  ForeignModel read(const std::string& config) {
    write_text_file(folder_ / "config.json", config);
    return read_foreign_model(folder_ / "model.safetensors");
  }

  std::string reading_error(const std::string& config) {
    return input_error([&] { read(config); });
  }

  TemporaryFolder folder_;
};

}  // namespace softmoe::test
