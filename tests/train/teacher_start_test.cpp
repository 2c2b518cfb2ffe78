#include "train/teacher_start.h"

#include <gtest/gtest.h>

#include "checkpoints/model_checkpoint.h"
#include "checkpoints/surgery/prune_experts.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;

class TeacherStart : public testing::Test {
 protected:
  TeacherStart() {
    auto options = run_.model;
    options.moe.router = "tokens_choice";
    options.moe.experts = 4;
    Checkpoint checkpoint;
    checkpoint.metadata = to_metadata(
        {.name = "tiny", .options = options, .class_names = {}, .preprocess = run_.preprocess});
    checkpoint.model = named_tensors(*test::lively_model(options));
    teacher_ = checkpoint.model;
    save_checkpoint(file(), checkpoint);
    run_.model = options;
  }
  std::string file() const { return (folder_ / "t.h5").string(); }
  NamedTensors started(const VitOptions& student, TeacherInit init) {
    auto start = start_from_teacher({.init = init, .importance_images = 20}, file(),
                                    fresh_start("student", student, 1), images_, run_, torch::kCPU);
    return named_tensors(*start.model);
  }

  test::TemporaryFolder folder_;
  test::TinyRun run_ = test::tiny_run();
  test::Corners images_{40};
  NamedTensors teacher_;
};

TEST_F(TeacherStart, DenseStudentsStartFromTheMeanOfTheExpertsOrFromOneOfThem) {
  auto dense = run_.model;
  dense.moe_blocks = "none";
  const auto experts = teacher_.at("blocks.1.moe.experts.fc1_weight");  // [4, hidden, dim]
  const auto mean = started(dense, TeacherInit::kAverage).at("blocks.1.mlp.fc1.weight");
  EXPECT_TRUE(all_close(mean, experts.mean(0)));
  const auto one = started(dense, TeacherInit::kMostImportant).at("blocks.1.mlp.fc1.weight");
  EXPECT_TRUE((experts - one).flatten(1).abs().amax(1).eq(0).any().item<bool>());
  const auto fresh = named_tensors(*make_model(dense, 1));
  EXPECT_TRUE(same_bits(started(dense, TeacherInit::kNone).at("blocks.1.mlp.fc1.weight"),
                        fresh.at("blocks.1.mlp.fc1.weight")));
}

TEST_F(TeacherStart, FewerExpertsStartFromTheMostImportantOnes) {
  auto student = run_.model;
  student.moe.experts = 2;
  const auto weights = started(student, TeacherInit::kAverage);
  const auto experts = teacher_.at("blocks.1.moe.experts.fc1_weight");
  for (const auto& expert : weights.at("blocks.1.moe.experts.fc1_weight").unbind(0)) {
    EXPECT_TRUE((experts - expert).flatten(1).abs().amax(1).eq(0).any().item<bool>());
  }
  EXPECT_TRUE(
      same_bits(weights.at("blocks.0.attn.qkv.weight"), teacher_.at("blocks.0.attn.qkv.weight")));
}

}  // namespace
}  // namespace softmoe
