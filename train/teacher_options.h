#pragma once
/// Which teachers a student is distilled from.

#include <string>
#include <vector>

#include "core/options.h"

namespace softmoe {

/// The models that teach. Several give the mean of their probabilities.
struct TeacherOptions {
  std::vector<std::string> teachers;  ///< files or folders of any kind that load_weights() reads
  std::vector<std::string> digests;   ///< weights_digest() of each; empty: any weights
  std::string dtype = "auto";         ///< of inference_precision()

  bool operator==(const TeacherOptions&) const = default;
};
void describe(OptionTable& table, TeacherOptions& options);

}  // namespace softmoe
