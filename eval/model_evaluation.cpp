#include "eval/model_evaluation.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/pluralize.h"
#include "ops/compute_precision.h"

namespace softmoe {

void check_classes(const std::vector<std::string>& found, const ModelDescription& model,
                   const std::string& name) {
  const auto& expected = model.class_names;
  const auto count =
      expected.empty() ? static_cast<size_t>(model.options.num_classes) : expected.size();
  if (found.size() != count) {
    throw InputError(
        name,
        "the " + pluralize(static_cast<int64_t>(count), "class", "classes") + " of the checkpoint",
        pluralize(std::ssize(found), "class", "classes"));
  }
  const auto [mine, other] = std::mismatch(expected.begin(), expected.end(), found.begin());
  if (mine != expected.end()) {
    throw InputError(fmt::format("{}: class {}", name, mine - expected.begin()),
                     "'" + *mine + "' as in the checkpoint", "'" + *other + "'");
  }
}

std::string evaluation_dtype_name(const std::string& amp_dtype, const Json& metadata) {
  const auto config = metadata.value("config", Json::object());
  return amp_dtype == "auto" ? config.value("amp-dtype", amp_dtype) : amp_dtype;
}

torch::Dtype evaluation_dtype(const std::string& amp_dtype, const Json& metadata,
                              const torch::Device& device) {
  return tensor_dtype(compute_precision(evaluation_dtype_name(amp_dtype, metadata), device));
}

ClassificationResult evaluate_model(const Forward& forward, const ModelDescription& description,
                                    const Transform& transform, const Dataset& set,
                                    const LoaderOptions& options, const BatchLoopOptions& loop) {
  Loader loader(set, transform, options);
  return evaluate(forward, loader, description.options.num_classes, description.likelihood, loop);
}

}  // namespace softmoe
