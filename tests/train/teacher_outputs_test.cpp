#include "train/teacher_outputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoints/checkpoint.h"
#include "core/error.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe {
namespace {

using test::all_close;
using test::same_bits;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// Outputs of `rows` images from image `first` on, of which 3 of 5 classes are kept.
TeacherOutputs outputs_of(int64_t first, int64_t rows) {
  torch::manual_seed(first);
  const auto images = torch::arange(first, first + rows);
  return top_outputs(images, view_checksums(torch::rand({rows, 2, 3})),
                     torch::randn({rows, 5}).softmax(1), 3);
}

TEST(ViewChecksums, DifferForEveryChangeOfAnImage) {
  const auto images = torch::rand({4, 3, 6, 7});
  auto changed = images.clone();
  changed[2][1][5][6] += 1e-6;
  const auto equal = view_checksums(images).eq(view_checksums(changed));  // [4]
  EXPECT_TRUE(torch::equal(equal, torch::tensor({true, true, false, true})));
  EXPECT_TRUE(torch::equal(view_checksums(images.flip(0)), view_checksums(images).flip(0)));
  EXPECT_EQ(view_checksums(torch::empty({0, 3})).size(0), 0);
}

TEST(TeacherOutputs, ClassesThatAreNotKeptShareTheRest) {
  const auto probabilities =
      torch::tensor({{0.1, 0.5, 0.05, 0.3, 0.05}, {0.2, 0.2, 0.2, 0.2, 0.2}});
  const auto numbers = torch::arange(2);
  const auto all = top_outputs(numbers, numbers, probabilities, 9);
  EXPECT_TRUE(same_bits(all_probabilities(all, 5), probabilities.to(torch::kFloat32)));
  const auto two = top_outputs(numbers, numbers, probabilities, 2);
  EXPECT_TRUE(all_close(all_probabilities(two, 5)[0],
                        torch::tensor({0.2 / 3, 0.5, 0.2 / 3, 0.3, 0.2 / 3}).to(torch::kFloat32)));
}

TEST(TeacherOutputFolder, GoesOnBehindTheBatchesThatAreThere) {
  const TemporaryFolder folder;
  const Json identity{{"seed", 3}};
  TeacherOutputFolder first(folder / "outputs", identity);
  EXPECT_EQ(first.batches(), 0);
  first.add(2, outputs_of(0, 8));
  first.add(1, outputs_of(8, 4));
  TeacherOutputFolder again(folder / "outputs", identity);
  EXPECT_EQ(again.batches(), 3);
  again.add(4, outputs_of(12, 16));
  const TeacherOutputFolder whole(folder / "outputs", identity);
  EXPECT_EQ(whole.batches(), 7);
  ASSERT_EQ(whole.parts(), 3U);
  const auto expected = outputs_of(8, 4);
  const auto actual = whole.read(1);
  EXPECT_TRUE(same_bits(actual.images, expected.images));
  EXPECT_TRUE(same_bits(actual.views, expected.views));
  EXPECT_TRUE(same_bits(actual.classes, expected.classes));
  EXPECT_TRUE(same_bits(actual.probabilities, expected.probabilities));
}

TEST(TeacherOutputFolder, RefusesOutputsOfAnotherRunAndDamagedOnes) {
  const TemporaryFolder folder;
  const Json identity{{"seed", 3}, {"teachers", {"a"}}};
  TeacherOutputFolder outputs(folder.path(), identity);
  outputs.add(2, outputs_of(0, 8));
  outputs.add(1, outputs_of(8, 4));
  const auto open = [&folder](const Json& other) {
    return [&folder, other] { TeacherOutputFolder(folder.path(), other); };
  };
  EXPECT_THAT(open({{"seed", 4}, {"teachers", {"a"}}}),
              ThrowsMessage<InputError>(
                  HasSubstr("seed of the stored teacher outputs: expected 4, found 3")));
  EXPECT_THAT(open({{"seed", 3}, {"teachers", {"b"}}}),
              ThrowsMessage<InputError>(HasSubstr("teachers")));
  EXPECT_NO_THROW(open(identity)());
  std::filesystem::rename(folder / "batch-00000000.h5", folder / "gone");
  EXPECT_THAT(open(identity), ThrowsMessage<InputError>(HasSubstr("batch-00000000.h5")));
  std::filesystem::rename(folder / "gone", folder / "batch-00000000.h5");
  std::filesystem::resize_file(folder / "batch-00000002.h5", 300);
  EXPECT_THROW(open(identity)(), InputError);
  Checkpoint other;
  other.metadata["model"] = "x";
  save_checkpoint(folder / "batch-00000002.h5", other);
  EXPECT_THAT(open(identity), ThrowsMessage<InputError>(HasSubstr("outputs of a teacher")));
  other.metadata["teacher_outputs"] = {{"batches", 1}, {"identity", identity}};
  other.model = {{"images", torch::zeros({4})}};
  save_checkpoint(folder / "batch-00000002.h5", other);
  EXPECT_THROW(TeacherOutputFolder(folder.path(), identity).read(1), InputError);
}

}  // namespace
}  // namespace softmoe
