#include "datasets/sources/idx.h"

#include <gmock/gmock.h>

#include "datasets/small_sets.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::cut;
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

}  // namespace
}  // namespace softmoe
