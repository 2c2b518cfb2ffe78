#include "checkpoints/surgery/weight_average.h"

#include <fmt/format.h>

#include "checkpoints/load_into.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// Throws InputError that names the first option in which the models `name` and `first` differ.
void check_options(const VitOptions& expected, const VitOptions& actual, const std::string& name,
                   const std::string& first) {
  const auto before = options_to_json(expected);
  const auto now = options_to_json(actual);
  for (const auto& [key, value] : before.items()) {
    if (now.at(key) != value) {
      throw InputError(name, fmt::format("{} {} as in {}", key, json_text(value), first),
                       json_text(now.at(key)));
    }
  }
}

}  // namespace

void WeightAverage::check(const LoadedWeights& model, const std::string& name) const {
  const auto& first = first_.value();
  check_options(first.description.options, model.description.options, name, first_name_);
  if (first.description.class_names != model.description.class_names) {
    throw InputError(name, "the classes of " + first_name_, "others");
  }
}

void WeightAverage::add(const LoadedWeights& model, const std::string& name) {
  if (first_) {
    check(model, name);
  } else {
    first_ = model;
    first_name_ = name;
  }
  check_fit(*unfilled_model(model.description.options), model.weights, name);
  mean_.add(model.weights);
}

}  // namespace softmoe
