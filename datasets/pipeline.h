#pragma once
/// The transform of training images as one readable text, as big_vision's preprocessing strings:
/// "inception_crop(224)|flip_lr|randaug(2,15)|value_range(-1,1)". Transform::text() writes it.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <string>
#include <vector>

#include "datasets/preprocess_options.h"

namespace softmoe {

/// One step: `name(value,value,key=value)`.
struct PipelineStep {
  std::string name;
  std::vector<std::string> values = {};
  std::map<std::string, std::string> named = {};
};

/// The steps of `text`. Throws UsageError that names `--pp` if it has no such form.
std::vector<PipelineStep> parse_pipeline(const std::string& text);

/// Reads the arguments of a step. Every function throws UsageError that names `--pp` and the step.
class StepArguments {
 public:
  explicit StepArguments(const PipelineStep& step) : step_(step), left_(step.named) {}

  /// The next argument without a key; `otherwise` if there is none.
  std::string text(const std::string& otherwise);
  /// The next argument without a key as a number from `min` to `max`.
  double number(double min, double max);
  double number(double min, double max, double otherwise);
  /// The argument `key` as a number from `min` to `max`.
  double number(const std::string& key, double min, double max, double otherwise);
  /// The argument `key`; `otherwise` if there is none.
  std::string text(const std::string& key, const std::string& otherwise);
  /// The next argument without a key as one of the names of an enum; `otherwise` if there is none.
  template <typename E>
  E choice(E otherwise) {
    const auto name = text(enum_name(otherwise));
    const auto value = enum_value<E>(name);
    if (!value) {
      reject(fmt::format("one of {}", fmt::join(enum_names<E>(), ", ")), name);
    }
    return *value;
  }
  /// Returns true if there is another argument without a key.
  bool has_more() const { return next_ < step_.values.size(); }
  /// `text`, an argument of this step, as one or more numbers between which `separator` stands.
  std::vector<double> numbers(const std::string& text, char separator) const;
  /// Throws if an argument was not read.
  void finish() const;
  [[noreturn]] void reject(const std::string& expected, const std::string& found) const;

 private:
  double parse(const std::string& text, double min, double max) const;

  const PipelineStep& step_;
  size_t next_ = 0;
  std::map<std::string, std::string> left_;
};

/// Sets the options of `options` that the steps at the front of `steps` name, from the crop to the
/// erasing, and takes these steps away; options of steps that are missing are off. Steps must stand
/// in the order of Transform::text(). Throws UsageError that names `--pp` and the step.
void apply_image_steps(std::vector<PipelineStep>& steps, PreprocessOptions& options);

/// Throws UsageError that names `--pp` if one of `steps` is left, with the names of all steps that
/// exist, `further` ones at their end, or if no step has set the crop of `options`.
void check_pipeline(const std::vector<PipelineStep>& steps, const PreprocessOptions& options,
                    const std::vector<std::string>& further);

/// The names of the options that apply_image_steps() sets.
const std::vector<std::string>& pipeline_options();

}  // namespace softmoe
