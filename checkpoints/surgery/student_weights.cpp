#include "checkpoints/surgery/student_weights.h"

#include <cmath>
#include <optional>

#include "checkpoints/make_model.h"
#include "checkpoints/module_tensors.h"
#include "checkpoints/parameter_names.h"
#include "checkpoints/surgery/adapt.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// Finds the teacher's values of a student's tensors.
class TeacherTensors {
 public:
  TeacherTensors(const NamedTensors& tensors, const VitOptions& from, const VitOptions& to)
      : tensors_(tensors), from_(from), to_(to) {}

  /// The values of the student's tensor `name`; undefined if there are none.
  torch::Tensor values(const std::string& name) const {
    const auto parameter = block_parameter(name);
    if (!parameter) {
      return find(name);
    }
    const auto& rest = parameter->rest;
    const int64_t block = teacher_block(parameter->block, to_.depth, from_.depth);
    if (rest.starts_with("attn.") && from_.heads != to_.heads) {
      return {};
    }
    if (rest.starts_with("mlp.") && from_.mlp_layer != to_.mlp_layer) {
      return {};
    }
    if (const auto same = find(block_name(block, rest)); same.defined()) {
      return same;
    }
    if (const auto expert = expert_name(rest)) {
      const auto experts = find(block_name(block, *expert));  // [experts, ...]
      return experts.defined() ? experts.to(torch::kFloat64).mean(0).to(experts.dtype()) : experts;
    }
    if (const auto mlp = mlp_name(rest); mlp && from_.mlp_layer == MlpLayer::kMlp) {
      const auto values = find(block_name(block, *mlp));
      return values.defined() ? torch::stack(std::vector(to_.moe.experts, values)) : values;
    }
    return {};
  }

 private:
  torch::Tensor find(const std::string& name) const {
    const auto found = tensors_.find(name);
    return found == tensors_.end() ? torch::Tensor() : found->second;
  }

  const NamedTensors& tensors_;
  const VitOptions& from_;
  const VitOptions& to_;
};

}  // namespace

int64_t teacher_block(int64_t block, int64_t student_depth, int64_t teacher_depth) {
  if (student_depth == 1) {
    return 0;
  }
  return std::lround(static_cast<double>(block * (teacher_depth - 1)) /
                     static_cast<double>(student_depth - 1));
}

NamedTensors student_weights(NamedTensors tensors, const VitOptions& from, const VitOptions& to,
                             PositionResize resize, const std::string& path) {
  if (from.dim != to.dim) {
    throw InputError(path + ": dim", std::to_string(to.dim) + " as the student's",
                     std::to_string(from.dim));
  }
  auto target = with_adapted_parts(from, to);
  target.pos_embed = to.pos_embed;
  const auto adapted =
      adapt_weights(std::move(tensors), from, target, resize, /*keep_head=*/true, path);
  const TeacherTensors teacher(adapted.tensors, from, to);
  NamedTensors weights;
  for (const auto& [name, shape_of] : named_tensors(*unfilled_model(to))) {
    const auto values = teacher.values(name);
    if (values.defined() && values.sizes() == shape_of.sizes()) {
      weights[name] = values;
    }
  }
  return weights;
}

}  // namespace softmoe
