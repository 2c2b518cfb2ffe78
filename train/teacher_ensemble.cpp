#include "train/teacher_ensemble.h"

#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <utility>

#include "checkpoints/open_model.h"
#include "checkpoints/weights_digest.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "eval/model_evaluation.h"
#include "vit/cost.h"

namespace softmoe {
namespace {

/// Throws InputError unless the teacher `model`, called `name`, knows the classes of `task`.
void check_teacher_classes(const ModelDescription& model, const std::string& name,
                           const StudentTask& task) {
  if (model.options.num_classes != task.num_classes) {
    throw InputError("--teacher " + name,
                     pluralize(task.num_classes, "class", "classes") + " like the student's",
                     std::to_string(model.options.num_classes));
  }
  if (!model.class_names.empty()) {
    check_classes(task.class_names, model, "--teacher " + name + ": the data set");
  }
}

/// Throws InputError unless the teacher `name` has the digest that `options` ask for, if any.
void check_digest(const TeacherOptions& options, size_t number, const std::string& digest) {
  if (!options.digests.empty() && options.digests[number] != digest) {
    throw InputError(fmt::format("--teacher {}: digest of its weights", options.teachers[number]),
                     options.digests[number] + " as in --teacher-digest", digest);
  }
}

}  // namespace

void TeacherEnsemble::add(LoadedWeights weights, const std::string& name, Precision precision,
                          const StudentTask& task) {
  const auto description = weights.description;
  check_teacher_classes(description, name, task);
  const TeacherInput input(task.preprocess, teacher_preprocess(description, name));
  members_.push_back({.name = name,
                      .likelihood = description.likelihood,
                      .input = input,
                      .model = InferenceModel(description.options, std::move(weights.weights),
                                              "--teacher " + name, precision, task.device)});
  const auto cost = model_cost(description.options);
  log_line(fmt::format("teacher {}: {}, {:.2f} M parameters, {:.4f} GFLOP/img, {}, images {}", name,
                       description.name, static_cast<double>(cost.parameters()) / 1e6, cost.gflop,
                       enum_name(precision), input.text()));
}

torch::Tensor TeacherEnsemble::probabilities(const Batch& batch, double temperature) {
  const torch::NoGradGuard no_grad;
  torch::Tensor sum;
  for (auto& member : members_) {
    // The copy has none of the restrictions of inference mode.
    const auto logits = member.model.forward(member.input.of(batch.images)).clone();
    if (!at::isfinite(logits).all().item<bool>()) {
      throw InputError("--teacher " + member.name, "finite logits", "NaN or infinity");
    }
    const auto part =
        class_probabilities(logits / temperature, member.likelihood);  // [batch, classes]
    sum = sum.defined() ? sum + part : part;                           // [batch, classes]
  }
  TORCH_CHECK_VALUE(sum.defined(), "TeacherEnsemble: no teacher");
  return sum / static_cast<double>(members_.size());  // [batch, classes]
}

std::shared_ptr<Teacher> open_teachers(TeacherOptions& options, const StudentTask& task) {
  if (options.teachers.empty()) {
    throw UsageError("--teacher is missing: the models to learn from");
  }
  if (!options.digests.empty() && options.digests.size() != options.teachers.size()) {
    throw UsageError("--teacher-digest",
                     fmt::format("{}, one per teacher", options.teachers.size()),
                     std::to_string(options.digests.size()));
  }
  const auto precision = inference_precision(options.dtype, task.device);
  auto ensemble = std::make_shared<TeacherEnsemble>();
  std::vector<std::string> digests;
  for (size_t number = 0; number < options.teachers.size(); ++number) {
    const auto& name = options.teachers[number];
    auto weights = open_weights(name, task.device);
    digests.push_back(weights_digest(weights));
    check_digest(options, number, digests.back());
    ensemble->add(std::move(weights), name, precision, task);
  }
  options.digests = std::move(digests);
  return ensemble;
}

}  // namespace softmoe
