#pragma once
/// The options of the loss of distillation.

#include <array>
#include <cstdint>
#include <vector>

#include "core/options.h"

namespace softmoe {

/// What a student takes of its teachers.
enum class DistillationLabels {
  kSoft,  ///< the probabilities of all classes
  kHard,  ///< the most probable class
};
template <>
inline constexpr std::array<EnumName<DistillationLabels>, 2> kEnumNames<DistillationLabels>{
    {{DistillationLabels::kSoft, "soft"}, {DistillationLabels::kHard, "hard"}}};

/// How the weights of losses go from their first values to their last over a run.
enum class WeightSchedule { kConstant, kLinear, kCosine };
template <>
inline constexpr std::array<EnumName<WeightSchedule>, 3> kEnumNames<WeightSchedule>{
    {{WeightSchedule::kConstant, "constant"},
     {WeightSchedule::kLinear, "linear"},
     {WeightSchedule::kCosine, "cosine"}}};

/// The loss of distillation (Hinton et al., arXiv:1503.02531, section 2; with hard labels: Touvron
/// et al., arXiv:2012.12877, section 4).
struct DistillationOptions {
  DistillationLabels labels = DistillationLabels::kSoft;
  double alpha = 0.5;        ///< weight of the teachers; the labels of the data have the rest
  double final_alpha = 0.0;  ///< at the end of the run, unless `schedule` is constant
  WeightSchedule schedule = WeightSchedule::kConstant;
  double temperature = 1.0;  ///< of soft labels
  /// Blocks of the student whose tokens are compared with those of the first teacher; empty: none.
  std::vector<int64_t> features = {};
  double feature_weight = 1.0;        ///< of this comparison
  double final_feature_weight = 0.0;  ///< at the end of the run, unless `schedule` is constant

  bool operator==(const DistillationOptions&) const = default;
};
void describe(OptionTable& table, DistillationOptions& options);

/// The weight of the teachers after the share `progress`, in [0, 1], of a run.
double teacher_weight(const DistillationOptions& options, double progress);
/// The weight of the labels of the data then: the two sum to 1.
double label_weight(const DistillationOptions& options, double progress);
/// The weight of the comparison of tokens then.
double feature_weight(const DistillationOptions& options, double progress);

}  // namespace softmoe
