#include "train/teacher_input.h"

#include <gtest/gtest.h>

#include "core/rng.h"
#include "datasets/transforms.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;

/// Colours of 8x12 px with one mean and deviation for all channels.
PreprocessOptions student_preprocess() {
  PreprocessOptions options;
  options.input_size = {3, 8, 12};
  options.crop = CropMode::kNone;
  return options;
}

/// The input that `options` make of a random picture of 8x12 px, [1, channels, height, width].
torch::Tensor input_of(const PreprocessOptions& options) {
  cv::Mat picture(8, 12, CV_8UC3);
  Rng pixels(3);
  for (int row = 0; row < 8; ++row) {
    for (int value = 0; value < 3 * 12; ++value) {
      picture.ptr<uint8_t>(row)[value] = static_cast<uint8_t>(pixels.below(256));
    }
  }
  const auto transform = Transform::evaluation(options);
  auto input = torch::empty({1, transform.channels(), transform.height(), transform.width()});
  Rng rng(0);
  transform.apply({.image = picture, .label = 0}, rng, input.data_ptr<float>());
  return input;
}

TEST(TeacherInput, IsThatOfTheStudentIfNothingDiffers) {
  auto teacher = student_preprocess();
  teacher.mean = {0.5, 0.5, 0.5};  // the same, by channel
  const TeacherInput input(student_preprocess(), teacher);
  const auto images = input_of(student_preprocess());
  EXPECT_TRUE(input.of(images).is_same(images));
  EXPECT_EQ(input.text(), "as the student's");
}

TEST(TeacherInput, IsWhatTheTeachersOwnPreprocessingGivesForThePicture) {
  auto teacher = student_preprocess();
  teacher.mean = {0.485, 0.456, 0.406};
  teacher.std = {0.229, 0.224, 0.225};
  const TeacherInput normalized(student_preprocess(), teacher);
  EXPECT_TRUE(all_close(normalized.of(input_of(student_preprocess())), input_of(teacher),
                        {.absolute = 1e-5}));
  EXPECT_EQ(normalized.text(), "normalised again");
  teacher.mean = {0.13};
  teacher.std = {0.31};
  teacher.input_size = {1, 8, 12};
  const TeacherInput gray(student_preprocess(), teacher);
  // Transform rounds luma to whole pixel values.
  EXPECT_TRUE(all_close(gray.of(input_of(student_preprocess())), input_of(teacher),
                        {.absolute = 0.51 / 255 / 0.31}));
  EXPECT_EQ(gray.text(), "made gray, normalised again");
  const TeacherInput colored(teacher, student_preprocess());
  const auto back = colored.of(input_of(teacher));  // [1, 3, 8, 12]
  EXPECT_TRUE(all_close(back[0][2], input_of(teacher)[0][0] * 0.62 + (0.13 - 0.5) / 0.5,
                        {.absolute = 1e-5}));
  EXPECT_EQ(colored.text(), "gray in all channels, normalised again");
}

TEST(TeacherInput, IsResizedSoThatAreasKeepTheirMean) {
  auto teacher = student_preprocess();
  teacher.input_size = {3, 4, 6};
  const TeacherInput smaller(student_preprocess(), teacher);
  const auto images = torch::zeros({1, 3, 8, 12});
  images.slice(3, 0, 6).fill_(1.0);  // the left half
  const auto resized = smaller.of(images);
  ASSERT_EQ(resized.sizes(), (std::vector<int64_t>{1, 3, 4, 6}));
  EXPECT_TRUE(all_close(resized.select(3, 0), torch::ones({1, 3, 4})));
  EXPECT_TRUE(all_close(resized.select(3, 5), torch::zeros({1, 3, 4})));
  EXPECT_NEAR(resized.mean().item<double>(), 0.5, 1e-6);
  EXPECT_EQ(smaller.text(), "resized to 4x6 px");
}

}  // namespace
}  // namespace softmoe
