#include "train/feature_matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "train/tiny_run.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::changed;
using test::lively_model;
using test::random_images;
using test::small_options;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// A deeper and wider model with a class token for the images of small_options().
VitOptions teacher_options() {
  return changed(small_options(), [](VitOptions& options) {
    options.dim = 32;
    options.depth = 5;
    options.class_token = true;
  });
}

LoadedModel teacher_of(const VitOptions& options) {
  LoadedModel teacher;
  teacher.description.options = options;
  teacher.description.preprocess.emplace().input_size = input_size(options);
  teacher.model = lively_model(options, 7);
  teacher.model->eval();
  return teacher;
}

PreprocessOptions input_of(const VitOptions& options) {
  PreprocessOptions preprocess;
  preprocess.input_size = input_size(options);
  return preprocess;
}

FeatureMatcher matcher_of(const VitOptions& teacher, const VitOptions& student,
                          const std::vector<int64_t>& blocks) {
  return {teacher_of(teacher), "t.h5", student, input_of(student), blocks, 3, torch::kFloat32};
}

TEST(FeatureMatcher, MapsTokensOfPatchesToThoseOfTheTeachersBlocks) {
  const auto student = small_options();
  auto matcher = matcher_of(teacher_options(), student, {0, 1, 2});
  EXPECT_EQ(matcher.blocks().teacher, (std::vector<int64_t>{0, 2, 4}));
  const Batch batch{.images = random_images(student, 2), .labels = {}, .indices = {}};
  const auto own = lively_model(student)->forward_intermediates(batch.images);
  const auto theirs = lively_model(teacher_options(), 7)->forward_intermediates(batch.images);
  const auto matched = matcher.match(batch, own);
  ASSERT_EQ(matched.size(), 3U);
  const auto parameters = matcher.named_parameters();
  EXPECT_EQ(parameters.size(), 6U);
  EXPECT_TRUE(all_close(
      matched[1].student,
      torch::linear(own[2], parameters["projections.1.weight"], parameters["projections.1.bias"])));
  EXPECT_TRUE(all_close(matched[1].teacher, theirs[3].slice(1, 1).detach(), {.absolute = 1e-5}));
  EXPECT_TRUE(matched[1].student.requires_grad());
  EXPECT_FALSE(matched[1].teacher.requires_grad());
}

TEST(FeatureMatcher, RefusesBlocksThatAreNotThereAndOtherGrids) {
  EXPECT_THAT([] { matcher_of(teacher_options(), small_options(), {3}); },
              ThrowsMessage<UsageError>(HasSubstr("blocks of the student, 0 to 2, found 3")));
  auto other = teacher_options();
  other.patch_size = 2;
  EXPECT_THAT([&] { matcher_of(other, small_options(), {0}); },
              ThrowsMessage<InputError>(HasSubstr("2x3 patches as the student has, found 4x6")));
}

/// Gives equal probabilities.
class IndifferentTeacher : public Teacher {
 public:
  torch::Tensor probabilities(const Batch& batch, double /*temperature*/) override {
    return torch::full({batch.images.size(0), 4}, 0.25);
  }
};

TEST(FeatureMatcher, ItsMapsLearnWithTheModelAndARunResumesWithThem) {
  test::Corners images(60);
  test::Corners val_images(20);
  auto run = test::tiny_run();
  run.train.epochs = 2;
  run.objectives.distillation = {.features = {0, 1}};
  auto teacher = run.model;
  teacher.dim = 24;
  const auto train = [&](const std::filesystem::path& path) {
    auto setup = test::setup_of(run);
    setup.teacher = std::make_shared<IndifferentTeacher>();
    setup.matcher =
        std::make_shared<FeatureMatcher>(teacher_of(teacher), "t.h5", run.model, run.preprocess,
                                         std::vector<int64_t>{0, 1}, 3, torch::kFloat32);
    RunFolder folder(path);
    Trainer(std::move(setup), images, val_images, folder).run();
    return folder.load().checkpoint;
  };
  const test::TemporaryFolder folder;
  const auto whole = train(folder / "whole");
  ASSERT_EQ(whole.helpers.size(), 4U);
  EXPECT_TRUE(whole.optimizer.contains("exp_avg/projections.1.weight"));
  const auto fresh = named_tensors(FeatureMatcher(teacher_of(teacher), "t.h5", run.model,
                                                  run.preprocess, {0, 1}, 3, torch::kFloat32));
  EXPECT_FALSE(
      torch::equal(whole.helpers.at("projections.1.weight"), fresh.at("projections.1.weight")));
  images.interrupt_after(100);
  EXPECT_THROW(train(folder / "parts"), Interrupted);
  images.interrupt_after(-1);
  train(folder / "parts");
  test::expect_same_run(folder / "whole", folder / "parts");
}

}  // namespace
}  // namespace softmoe
