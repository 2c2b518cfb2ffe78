#include "datasets/sources/cifar.h"

#include <gmock/gmock.h>

#include "datasets/small_sets.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::cut;
using test::input_error;
using test::TemporaryFolder;
using test::write_file;
using testing::AllOf;
using testing::HasSubstr;

/// A record whose planes are constant.
std::vector<uint8_t> cifar_record(std::vector<uint8_t> labels, uint8_t red, uint8_t green,
                                  uint8_t blue) {
  for (const uint8_t value : {red, green, blue}) {
    labels.insert(labels.end(), 32 * 32, value);
  }
  return labels;
}

TEST(Cifar, ReadsTenClassesInRgbOrder) {
  const TemporaryFolder folder;
  const auto home = folder / "cifar-10-batches-bin";
  for (int batch = 1; batch <= 5; ++batch) {
    auto record = cifar_record({static_cast<uint8_t>(batch)}, 10, 20, 30);
    record[1 + 33] = static_cast<uint8_t>(200 + batch);  // red of row 1, column 1
    write_file(home / ("data_batch_" + std::to_string(batch) + ".bin"), record);
  }
  write_file(home / "test_batch.bin", cifar_record({9}, 1, 2, 3));
  write_text_file(home / "batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n");
  const auto train = open_cifar(folder.path(), SplitKind::kTrain, /*hundred=*/false);
  ASSERT_EQ(train->size(), 5);
  const auto sample = train->get(2);
  EXPECT_EQ(sample.label, 3);
  EXPECT_EQ(sample.image.at<cv::Vec3b>(0, 0), cv::Vec3b(10, 20, 30));
  EXPECT_EQ(sample.image.at<cv::Vec3b>(1, 1), cv::Vec3b(203, 20, 30));
  EXPECT_EQ(train->class_names().at(9), "j");
  EXPECT_EQ(open_cifar(home, SplitKind::kAll, /*hundred=*/false)->size(), 6);
}

TEST(Cifar, ReadsTheFineLabelsOfAHundred) {
  const TemporaryFolder folder;
  write_file(folder / "train.bin", cifar_record({19, 99}, 0, 0, 0));
  const auto train = open_cifar(folder.path(), SplitKind::kTrain, /*hundred=*/true);
  EXPECT_EQ(train->label(0), 99);
  EXPECT_EQ(train->class_names().size(), 100);
}

TEST(Cifar, NamesBadFiles) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { open_cifar(folder.path(), SplitKind::kVal, true); }),
              HasSubstr("test.bin"));
  write_file(folder / "test.bin", cifar_record({19, 100}, 0, 0, 0));
  EXPECT_THAT(input_error([&] { open_cifar(folder.path(), SplitKind::kVal, true); }),
              AllOf(HasSubstr("test.bin[0]: label"), HasSubstr("found 100")));
  write_file(folder / "test.bin", cut(cifar_record({19, 1}, 0, 0, 0), 1));
  EXPECT_THAT(input_error([&] { open_cifar(folder.path(), SplitKind::kVal, true); }),
              HasSubstr("records of 3074 bytes"));
}

}  // namespace
}  // namespace softmoe
