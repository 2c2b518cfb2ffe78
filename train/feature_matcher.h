#pragma once
/// Tokens inside of a student beside those of its teacher.

#include <torch/nn/module.h>

#include <memory>
#include <string>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "train/objective.h"
#include "train/teacher_input.h"
#include "vit/linear.h"

namespace softmoe {

/// Which tokens are compared.
struct MatchedBlocks {
  std::vector<int64_t> student;  ///< blocks of the student, from 0 on
  std::vector<int64_t> teacher;  ///< the block of the teacher for each
};

/// The teacher's modules, and the learned maps from the student's tokens to the teacher's, one for
/// each block, called `projections.<block of the student>` (Romero et al., arXiv:1412.6550, section
/// 2.2).
class FeatureMatcher : public torch::nn::Module {
 public:
  /// Compares the tokens of the patches behind `blocks` of a student of `student` with those of
  /// `teacher`, called `name`, behind teacher_block(). `preprocess` is the student's; the maps
  /// start from `seed`, on the device of the teacher. Throws UsageError for blocks that the student
  /// does not have, InputError that names the teacher if it has another grid of patches.
  FeatureMatcher(LoadedModel teacher, const std::string& name, const VitOptions& student,
                 const PreprocessOptions& preprocess, const std::vector<int64_t>& blocks,
                 int64_t seed, torch::Dtype dtype);

  /// The tokens of each block for the images of `batch`, where `tokens` are those of the student
  /// before its first block and behind each, [batch, tokens, dim].
  std::vector<MatchedTokens> match(const Batch& batch, const std::vector<torch::Tensor>& tokens);

  const MatchedBlocks& blocks() const { return blocks_; }

 private:
  std::vector<torch::Tensor> teacher_tokens(const torch::Tensor& images);

  LoadedModel teacher_;  // no submodule: its weights neither learn nor are they saved
  TeacherInput input_;
  VitOptions student_;
  MatchedBlocks blocks_;
  torch::Dtype dtype_;
  std::vector<Linear> maps_;
};

}  // namespace softmoe
