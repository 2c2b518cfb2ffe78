#include "train/feature_matcher.h"

#include <fmt/format.h>

#include <utility>

#include "checkpoints/surgery/student_weights.h"
#include "core/error.h"
#include "core/rng.h"
#include "runtime/autocast_guard.h"
#include "runtime/profiler.h"

namespace softmoe {
namespace {

/// The tokens of the patches of a model of `options` among all `tokens` [batch, tokens, dim].
torch::Tensor patch_tokens(const torch::Tensor& tokens, const VitOptions& options) {
  return tokens.slice(1, options.prefix_tokens());  // [batch, patches, dim]
}

void check_matched(const VitOptions& teacher, const VitOptions& student,
                   const std::vector<int64_t>& blocks, const std::string& name) {
  for (const int64_t block : blocks) {
    if (block < 0 || block >= student.depth) {
      throw UsageError("--distill-features",
                       fmt::format("blocks of the student, 0 to {}", student.depth - 1),
                       std::to_string(block));
    }
  }
  const auto grid = [](const VitOptions& options) {
    return fmt::format("{}x{} patches", options.grid_height(), options.grid_width());
  };
  if (grid(teacher) != grid(student)) {
    throw InputError("--distill-features with --teacher " + name,
                     grid(student) + " as the student has", grid(teacher));
  }
}

}  // namespace

FeatureMatcher::FeatureMatcher(LoadedModel teacher, const std::string& name,
                               const VitOptions& student, const PreprocessOptions& preprocess,
                               const std::vector<int64_t>& blocks, int64_t seed, torch::Dtype dtype)
    : teacher_(std::move(teacher)),
      input_(preprocess, teacher_preprocess(teacher_.description, name)),
      student_(student),
      dtype_(dtype) {
  const auto& options = teacher_.description.options;
  check_matched(options, student, blocks, name);
  torch::manual_seed(stream_key(static_cast<uint64_t>(seed), "projections"));
  auto projections = std::make_shared<torch::nn::Module>();
  for (const int64_t block : blocks) {
    blocks_.student.push_back(block);
    blocks_.teacher.push_back(teacher_block(block, student.depth, options.depth));
    maps_.emplace_back(student.dim, options.dim);
    projections->register_module(std::to_string(block), maps_.back().ptr());
  }
  register_module("projections", projections);
  to(teacher_.model->parameters().front().device());
}

/// The tokens of the matched blocks, each [batch, patches, dim].
std::vector<torch::Tensor> FeatureMatcher::teacher_tokens(const torch::Tensor& images) {
  const ProfilePart part("teacher");
  const torch::NoGradGuard no_grad;
  const AutocastGuard autocast(images.device(), dtype_);
  const auto tokens = teacher_.model->forward_intermediates(input_.of(images));
  std::vector<torch::Tensor> matched;
  for (const int64_t block : blocks_.teacher) {
    matched.push_back(patch_tokens(tokens.at(static_cast<size_t>(block + 1)),
                                   teacher_.description.options));  // [batch, patches, dim]
  }
  return matched;
}

std::vector<MatchedTokens> FeatureMatcher::match(const Batch& batch,
                                                 const std::vector<torch::Tensor>& tokens) {
  const auto teacher = teacher_tokens(batch.images);
  std::vector<MatchedTokens> matched;
  for (size_t index = 0; index < maps_.size(); ++index) {
    const auto own = patch_tokens(tokens.at(static_cast<size_t>(blocks_.student[index] + 1)),
                                  student_);  // [batch, patches, dim]
    matched.push_back({.student = maps_[index](own), .teacher = teacher[index]});
  }
  return matched;
}

}  // namespace softmoe
