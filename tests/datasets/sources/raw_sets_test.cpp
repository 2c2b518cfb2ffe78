#include "datasets/sources/raw_sets.h"

#include <gmock/gmock.h>

#include "datasets/small_sets.h"
#include "datasets/sources/digits.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::gzipped;
using test::idx_bytes;
using test::input_error;
using test::TemporaryFolder;
using test::write_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Three images of 2x4 pixels, 0 to 23, and two of 2x4 for the other split.
void write_idx_set(const std::filesystem::path& folder, const std::string& prefix = "") {
  std::vector<uint8_t> pixels(24);
  std::iota(pixels.begin(), pixels.end(), uint8_t{0});
  write_file(folder / (prefix + "train-images-idx3-ubyte"), idx_bytes({3, 2, 4}, pixels));
  write_file(folder / (prefix + "train-labels-idx1-ubyte"), idx_bytes({3}, {2, 0, 1}));
  pixels.assign(16, 77);
  write_file(folder / (prefix + "t10k-images-idx3-ubyte.gz"),
             gzipped(idx_bytes({2, 2, 4}, pixels)));
  write_file(folder / (prefix + "t10k-labels-idx1-ubyte.gz"), gzipped(idx_bytes({2}, {4, 1})));
}

TEST(Idx, ReadsPlainAndGzippedSplitsWithTheSameClasses) {
  const TemporaryFolder folder;
  write_idx_set(folder.path());
  const auto train = open_idx(folder.path(), SplitKind::kTrain, {});
  const auto val = open_idx(folder.path(), SplitKind::kVal, {});
  EXPECT_EQ(train->size(), 3);
  EXPECT_EQ(val->size(), 2);
  EXPECT_THAT(train->class_names(), ElementsAre("0", "1", "2", "3", "4"));
  EXPECT_EQ(train->class_names(), val->class_names());
  const auto sample = train->get(1);
  EXPECT_EQ(sample.label, 0);
  EXPECT_EQ(train->label(2), 1);
  EXPECT_EQ(sample.image.size(), cv::Size(4, 2));
  EXPECT_EQ(sample.image.at<uint8_t>(1, 2), 8 + 4 + 2);
  EXPECT_EQ(val->get(0).image.at<uint8_t>(0, 0), 77);
  EXPECT_THAT(train->sample_name(2), HasSubstr("train-images-idx3-ubyte[2]"));
}

TEST(Idx, AllIsBothSplits) {
  const TemporaryFolder folder;
  write_idx_set(folder.path());
  const auto all = open_idx(folder.path(), SplitKind::kAll, {});
  ASSERT_EQ(all->size(), 5);
  EXPECT_EQ(all->label(0), 2);
  EXPECT_EQ(all->label(3), 4);
}

TEST(Idx, TakesPrefixedNames) {
  const TemporaryFolder folder;
  write_idx_set(folder.path(), "emnist-letters-");
  EXPECT_EQ(open_idx(folder.path(), SplitKind::kTrain, {})->size(), 3);
}

TEST(Idx, NamesSeveralCandidates) {
  const TemporaryFolder folder;
  write_idx_set(folder.path(), "emnist-letters-");
  write_idx_set(folder.path(), "emnist-digits-");
  EXPECT_THAT(input_error([&] { open_idx(folder.path(), SplitKind::kTrain, {}); }),
              AllOf(HasSubstr("emnist-digits-train"), HasSubstr("emnist-letters-train")));
}

TEST(Idx, IndexOutsideTheSetIsTheCallersMistake) {
  const TemporaryFolder folder;
  write_idx_set(folder.path());
  const auto train = open_idx(folder.path(), SplitKind::kTrain, {});
  EXPECT_THROW(train->get(3), c10::IndexError);
  EXPECT_THROW(train->label(-1), c10::IndexError);
}

struct BadIdx {
  const char* name;
  std::vector<uint8_t> bytes;
  const char* message;
};

void PrintTo(const BadIdx& file, std::ostream* out) { *out << file.name; }

class BadIdxTest : public testing::TestWithParam<BadIdx> {};

TEST_P(BadIdxTest, IsOneLineThatNamesTheFile) {
  const TemporaryFolder folder;
  write_file(folder / "images", GetParam().bytes);
  const auto message = input_error([&] { read_idx(folder / "images"); });
  EXPECT_THAT(message,
              AllOf(HasSubstr((folder / "images").string()), HasSubstr(GetParam().message)));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

std::vector<uint8_t> cut(std::vector<uint8_t> bytes, size_t count) {
  bytes.resize(bytes.size() - count);
  return bytes;
}

std::vector<uint8_t> with(std::vector<uint8_t> bytes, size_t at, uint8_t value) {
  bytes.at(at) = value;
  return bytes;
}

const std::vector<uint8_t> kNine = {1, 2, 3, 4, 5, 6, 7, 8, 9};

INSTANTIATE_TEST_SUITE_P(
    Files, BadIdxTest,
    testing::Values(
        BadIdx{"Empty", {}, "IDX file"}, BadIdx{"Text", {'h', 'e', 'l', 'l', 'o'}, "IDX file"},
        BadIdx{"Floats", with(idx_bytes({9}, kNine), 2, 0x0D), "type 0x0d"},
        BadIdx{"ShortHeader", cut(idx_bytes({3, 3}, {}), 2), "header is cut short"},
        BadIdx{"ShortData", cut(idx_bytes({9}, kNine), 4), "expected 9 bytes of data, found 5"},
        BadIdx{"LongData", idx_bytes({8}, kNine), "found more"},
        BadIdx{"HugeShape", idx_bytes({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, kNine), "memory"},
        BadIdx{"HugeCount", idx_bytes({0xFFFFFFFF}, kNine), "found 9"},
        BadIdx{"TruncatedGzip", cut(gzipped(idx_bytes({9}, kNine)), 10), "gzip"},
        BadIdx{"GzipWithoutTrailer", cut(gzipped(idx_bytes({9}, kNine)), 3), "gzip"},
        BadIdx{
            "GzipWrongChecksum",
            with(gzipped(idx_bytes({9}, kNine)), gzipped(idx_bytes({9}, kNine)).size() - 6, 0x55),
            "gzip"}),
    [](const auto& test) { return test.param.name; });

TEST(Idx, NamesTheFileWhoseLabelsDoNotMatch) {
  const TemporaryFolder folder;
  write_idx_set(folder.path());
  write_file(folder / "train-labels-idx1-ubyte", idx_bytes({2}, {2, 0}));
  EXPECT_THAT(input_error([&] { open_idx(folder.path(), SplitKind::kTrain, {}); }),
              AllOf(HasSubstr("train-labels-idx1-ubyte"), HasSubstr("expected 3 labels")));
}

TEST(Idx, NamesALabelWithoutAClass) {
  const TemporaryFolder folder;
  write_idx_set(folder.path());
  EXPECT_THAT(input_error([&] {
                open_idx(folder.path(), SplitKind::kTrain, {"a", "b"});
              }),
              AllOf(HasSubstr("[0]: label"), HasSubstr("below 2, found 2")));
}

TEST(Idx, SaysWhichFilesAreMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { open_idx(folder.path(), SplitKind::kVal, {}); }),
              HasSubstr("t10k-images-idx3-ubyte"));
  EXPECT_THAT(input_error([&] { open_idx(folder / "nowhere", SplitKind::kVal, {}); }),
              HasSubstr("no such folder"));
}

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

TEST(Digits, AreAllThereAndSplitByWriter) {
  const auto train = open_digits(SplitKind::kTrain);
  const auto val = open_digits(SplitKind::kVal);
  const auto all = open_digits(SplitKind::kAll);
  EXPECT_EQ(train->size(), 898);
  EXPECT_EQ(val->size(), 899);
  ASSERT_EQ(all->size(), 1797);
  EXPECT_TRUE(test::same_pixels(all->get(898 + 5).image, val->get(5).image));
  std::array<int64_t, 10> counts{};
  for (int64_t index = 0; index < all->size(); ++index) {
    ++counts[static_cast<size_t>(all->label(index))];
  }
  // As the collection's own description counts them.
  EXPECT_THAT(counts, ElementsAre(178, 182, 177, 183, 181, 182, 181, 179, 174, 180));
}

TEST(Digits, ScaleSixteenToWhite) {
  const auto train = open_digits(SplitKind::kTrain);
  // The first record of the collection: a zero, its second row 0 0 13 15 10 15 5 0.
  const auto first = train->get(0);
  EXPECT_EQ(first.label, 0);
  const std::vector<uint8_t> row(first.image.ptr(1), first.image.ptr(1) + 8);
  EXPECT_THAT(row, ElementsAre(0, 0, 207, 239, 159, 239, 80, 0));
  uint8_t brightest = 0;
  for (int i = 0; i < 64; ++i) {
    brightest = std::max(brightest, first.image.data[i]);
  }
  EXPECT_GE(brightest, 239);
}

}  // namespace
}  // namespace softmoe
