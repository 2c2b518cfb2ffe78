#include "train/teacher_ensemble.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoints/weights_digest.h"
#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"
#include "vit/small_models.h"

namespace softmoe {
namespace {

using test::all_close;
using test::lively_model;
using test::random_images;
using testing::HasSubstr;
using testing::ThrowsMessage;

const std::vector<std::string>& class_names() {
  static const std::vector<std::string> names{"a", "b", "c", "d", "e", "f", "g"};
  return names;
}

PreprocessOptions student_input() {
  PreprocessOptions options;
  options.input_size = {3, 8, 12};
  return options;
}

StudentTask task() {
  static const auto input = student_input();
  return {.class_names = class_names(), .num_classes = 7, .preprocess = input};
}

/// The weights of lively_model() with what a checkpoint says beside them.
LoadedWeights weights_of(const VitOptions& options, uint64_t seed,
                         Likelihood likelihood = Likelihood::kSoftmax) {
  auto preprocess = student_input();
  preprocess.input_size = input_size(options);
  ModelDescription description{.name = "small",
                               .options = options,
                               .class_names = class_names(),
                               .preprocess = preprocess,
                               .likelihood = likelihood};
  auto metadata = to_metadata(description);
  NamedTensors weights;
  for (const auto& [name, tensor] : named_tensors(*lively_model(options, seed))) {
    weights[name] = tensor.detach().clone();
  }
  return {.weights = std::move(weights),
          .description = std::move(description),
          .metadata = std::move(metadata)};
}

/// Logits of the modules, [3, 7].
torch::Tensor logits_of(const VitOptions& options, uint64_t seed, const torch::Tensor& images) {
  const torch::NoGradGuard no_grad;
  auto model = lively_model(options, seed);
  model->eval();
  return model->forward(images);
}

TEST(TeacherEnsemble, GivesTheMeanOfTheProbabilitiesOfItsModels) {
  const auto dense = test::small_options();
  const auto sparse = test::small_moe_options("tokens_choice");
  TeacherEnsemble teachers;
  teachers.add(weights_of(dense, 3), "dense", Precision::kFloat32, task());
  teachers.add(weights_of(sparse, 4, Likelihood::kSigmoid), "sparse", Precision::kFloat32, task());
  const Batch batch{.images = random_images(dense, 3), .labels = {}, .indices = {}};
  for (const double temperature : {1.0, 2.5}) {
    const auto expected = (logits_of(dense, 3, batch.images) / temperature).softmax(1) / 2 +
                          (logits_of(sparse, 4, batch.images) / temperature).sigmoid() / 2;
    const auto actual = teachers.probabilities(batch, temperature);
    EXPECT_TRUE(all_close(actual, expected, {.absolute = 1e-4}));
    EXPECT_FALSE(actual.is_inference());
    EXPECT_FALSE(actual.requires_grad());
  }
}

TEST(TeacherEnsemble, PreparesImagesForEachModel) {
  auto options = test::small_options();
  options.img_size = {16, 24};
  auto weights = weights_of(options, 3);
  weights.description.preprocess->mean = {0.2};
  const auto preprocess = *weights.description.preprocess;
  TeacherEnsemble teachers;
  teachers.add(std::move(weights), "large", Precision::kFloat32, task());
  const Batch batch{.images = random_images(test::small_options(), 3), .labels = {}, .indices = {}};
  const auto images = TeacherInput(student_input(), preprocess).of(batch.images);
  EXPECT_TRUE(all_close(teachers.probabilities(batch, 1.0),
                        logits_of(options, 3, images).softmax(1), {.absolute = 1e-4}));
}

TEST(TeacherEnsemble, RefusesModelsThatDoNotFitTheStudent) {
  const auto add = [](const std::function<void(LoadedWeights&)>& change,
                      VitOptions options = test::small_options()) {
    return [change, options] {
      auto weights = weights_of(options, 3);
      change(weights);
      TeacherEnsemble().add(std::move(weights), "t.h5", Precision::kFloat32, task());
    };
  };
  auto other = test::small_options();
  other.num_classes = 5;
  EXPECT_THAT(add([](LoadedWeights&) {}, other),
              ThrowsMessage<InputError>(HasSubstr("--teacher t.h5: expected 7 classes")));
  EXPECT_THAT(add([](LoadedWeights& weights) { weights.description.class_names[2] = "x"; }),
              ThrowsMessage<InputError>(HasSubstr("--teacher t.h5: the data set: class 2")));
  EXPECT_NO_THROW(add([](LoadedWeights& weights) { weights.description.class_names.clear(); })());
  EXPECT_THAT(add([](LoadedWeights& weights) { weights.description.preprocess.reset(); }),
              ThrowsMessage<InputError>(HasSubstr("--teacher t.h5")));
  other = test::small_options();
  other.in_chans = 2;
  EXPECT_THROW(add([](LoadedWeights&) {}, other)(), InputError);
}

TEST(TeacherEnsemble, RefusesLogitsThatAreNotFinite) {
  auto weights = weights_of(test::small_options(), 3);
  weights.weights.at("head.bias")[2] = std::nan("");
  TeacherEnsemble teachers;
  teachers.add(std::move(weights), "t.h5", Precision::kFloat32, task());
  const Batch batch{.images = random_images(test::small_options(), 3), .labels = {}, .indices = {}};
  EXPECT_THAT([&] { teachers.probabilities(batch, 1.0); },
              ThrowsMessage<InputError>(HasSubstr("--teacher t.h5: expected finite logits")));
}

TEST(OpenTeachers, TellsTheirDigestsAndComparesGivenOnes) {
  const test::TemporaryFolder folder;
  Checkpoint checkpoint;
  const auto weights = weights_of(test::small_options(), 3);
  checkpoint.metadata = weights.metadata;
  checkpoint.model = weights.weights;
  const auto file = (folder / "t.h5").string();
  save_checkpoint(file, checkpoint);
  TeacherOptions options{.teachers = {file, file}, .digests = {}, .dtype = "float32"};
  ASSERT_NE(open_teachers(options, task()), nullptr);
  const auto digest = weights_digest(weights);
  EXPECT_EQ(options.digests, (std::vector<std::string>{digest, digest}));
  EXPECT_NO_THROW(open_teachers(options, task()));
  options.digests = {digest, "0123456789abcdef"};
  EXPECT_THAT([&] { open_teachers(options, task()); },
              ThrowsMessage<InputError>(
                  HasSubstr("expected 0123456789abcdef as in --teacher-digest, found " + digest)));
  options.digests = {digest};
  EXPECT_THROW(open_teachers(options, task()), UsageError);
  options.teachers.clear();
  EXPECT_THAT([&] { open_teachers(options, task()); },
              ThrowsMessage<UsageError>(HasSubstr("--teacher is missing")));
}

}  // namespace
}  // namespace softmoe
