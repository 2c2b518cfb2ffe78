#include "datasets/sources/packed.h"

#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <fstream>

#include "datasets/image_file.h"
#include "datasets/inspection.h"
#include "datasets/small_sets.h"
#include "datasets/sources/image_folder.h"
#include "datasets/sources/packed_writer.h"
#include "io/atomic_file.h"
#include "io/hdf5.h"
#include "support/temporary_folder.h"

namespace softmoe {

static void PrintTo(PackLayout layout, std::ostream* out) { *out << enum_name(layout); }

namespace {

namespace fs = std::filesystem;
using test::input_error;
using test::NumberedSet;
using test::picture;
using test::same_pixels;
using test::TemporaryFolder;
using test::write_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

void write_images(const fs::path& folder) {
  for (int i = 0; i < 4; ++i) {
    const auto image = picture(10 + i, 14 - i, static_cast<uint64_t>(i));
    write_file(folder / "cat" / (std::to_string(i) + ".jpg"), test::jpeg_bytes(image));
  }
  write_file(folder / "dog" / "4.png", encode_png(picture(9, 8, 4)));
}

TEST(Packed, KeepsFilesAsTheyAre) {
  const TemporaryFolder folder;
  write_images(folder / "images");
  const auto source = open_image_folder(folder / "images", "all");
  const auto report = pack_dataset(*source, folder / "all.h5", "all", {});
  EXPECT_EQ(report.images, 5);
  EXPECT_TRUE(report.bad.empty());
  const auto packed = open_packed(folder / "all.h5", "all");
  ASSERT_EQ(packed->size(), 5);
  EXPECT_EQ(packed->class_names(), source->class_names());
  for (int64_t index = 0; index < 5; ++index) {
    EXPECT_EQ(packed->encoded_bytes(index), source->encoded_bytes(index));
    EXPECT_EQ(packed->label(index), source->label(index));
    EXPECT_TRUE(same_pixels(packed->get(index).image, source->get(index).image));
  }
  EXPECT_THAT(packed->sample_name(4), AllOf(HasSubstr("all.h5[4]"), HasSubstr("dog/4.png")));
}

/// Images without labels, each with a caption, or with labels whose classes have texts.
class CaptionedSet : public NumberedSet {
 public:
  CaptionedSet(int64_t size, bool has_labels) : NumberedSet(size), has_labels_(has_labels) {}
  int64_t label(int64_t index) const override {
    return has_labels_ ? NumberedSet::label(index) : -1;
  }
  std::vector<int64_t> labels(int64_t index) const override {
    return has_labels_ ? NumberedSet::labels(index) : std::vector<int64_t>{};
  }
  const std::vector<std::string>& class_names() const override {
    return has_labels_ ? NumberedSet::class_names() : none_;
  }
  std::vector<std::string> class_texts() const override {
    return has_labels_ ? std::vector<std::string>{"nothing", "1", "2"} : none_;
  }
  bool has_captions() const override { return true; }
  std::string caption(int64_t index) const override {
    return "the " + first_word + " picture, n\u00ba " + std::to_string(index);
  }

  std::string first_word = "gray";

 private:
  bool has_labels_;
  std::vector<std::string> none_;
};

TEST(Packed, KeepsCaptionsAndTextsOfClasses) {
  for (const bool has_labels : {false, true}) {
    const TemporaryFolder folder;
    CaptionedSet source(6, has_labels);
    source.bad = {2};
    pack_dataset(source, folder / "x.h5", "all", {.max_bad_images = 0.5});
    const auto packed = open_packed(folder / "x.h5", "all");
    ASSERT_EQ(packed->size(), 5);
    EXPECT_TRUE(packed->has_captions());
    EXPECT_EQ(packed->caption(1), source.caption(1));
    EXPECT_EQ(packed->caption(4), source.caption(5));
    EXPECT_EQ(packed->label(4), source.label(5));
    EXPECT_EQ(packed->labels(4), source.labels(5));
    EXPECT_EQ(packed->class_names(), source.class_names());
    EXPECT_EQ(packed->class_texts(), source.class_texts());
  }
}

TEST(Packed, BeginsAnewForOtherCaptions) {
  const TemporaryFolder folder;
  CaptionedSet ended(8, false);
  ended.broken = 5;
  EXPECT_THROW(pack_dataset(ended, folder / "x.h5", "all", {}), std::logic_error);
  CaptionedSet other(8, false);
  other.first_word = "other";
  pack_dataset(other, folder / "x.h5", "all", {});
  EXPECT_EQ(open_packed(folder / "x.h5", "all")->caption(0), other.caption(0));
}

/// Images that cannot be read from a place on, as if packing were ended there.
class EndsAt : public NumberedSet {
 public:
  EndsAt(int64_t size, int64_t end) : NumberedSet(size) { broken = end; }
  Sample get(int64_t index) const override {
    ++reads;
    return NumberedSet::get(index);
  }
  mutable std::atomic<int64_t> reads = 0;
};

TEST(Packed, GoesOnWhereItWasEnded) {
  for (const auto layout : {PackLayout::kRaw, PackLayout::kEncoded}) {
    const TemporaryFolder folder;
    const auto path = folder / "x.h5";
    const auto part = folder / "x.h5.part";
    PackOptions options{.layout = layout, .max_bad_images = 0.1};
    EndsAt whole(30, -1);
    whole.bad = {3, 17};
    pack_dataset(whole, folder / "whole.h5", "all", options);
    EndsAt ended(30, 20);
    ended.bad = {3};
    EXPECT_THROW(pack_dataset(ended, path, "all", options), std::logic_error);
    EXPECT_FALSE(fs::exists(path));
    // The last record is cut, as when the disk is full or the machine stops.
    fs::resize_file(part, fs::file_size(part) - 7);
    EndsAt rest(30, -1);
    rest.bad = {3, 17};  // 17 is there already
    pack_dataset(rest, path, "all", options);
    EXPECT_EQ(rest.reads, 1 + 1 + 10);  // 3 again, 19 that was cut, 20 to 29
    EXPECT_FALSE(fs::exists(part));
    const auto packed = open_packed(path, "all");
    ASSERT_EQ(packed->size(), 29);
    EXPECT_EQ(packed->label(16), 17 % 3);
    const auto expected = open_packed(folder / "whole.h5", "all");
    EXPECT_TRUE(same_pixels(packed->get(28).image, expected->get(27).image));
  }
}

/// Images of which one is read when the user presses Ctrl-C.
class InterruptedSet : public NumberedSet {
 public:
  using NumberedSet::NumberedSet;
  Sample get(int64_t index) const override {
    if (index == 4) {
      std::raise(SIGINT);
    }
    return NumberedSet::get(index);
  }
};

TEST(Packed, StopsAtAnInterruptAndGoesOn) {
  const TemporaryFolder folder;
  EXPECT_THROW(pack_dataset(InterruptedSet(9), folder / "x.h5", "all", {}), Interrupted);
  EndsAt rest(9, -1);
  pack_dataset(rest, folder / "x.h5", "all", {});
  EXPECT_EQ(rest.reads, 4);
  EXPECT_EQ(open_packed(folder / "x.h5", "all")->size(), 9);
}

TEST(Packed, BeginsAnewForAnotherSet) {
  const TemporaryFolder folder;
  EXPECT_THROW(pack_dataset(EndsAt(30, 20), folder / "x.h5", "all", {}), std::logic_error);
  EndsAt other(31, -1);
  pack_dataset(other, folder / "x.h5", "all", {});
  EXPECT_EQ(open_packed(folder / "x.h5", "all")->size(), 31);
  EXPECT_EQ(other.reads, 31);
}

TEST(Packed, NamesAPartThatIsDamaged) {
  const TemporaryFolder folder;
  EXPECT_THROW(pack_dataset(EndsAt(30, 20), folder / "x.h5", "all", {}), std::logic_error);
  auto bytes = read_text_file(folder / "x.h5.part");
  bytes[bytes.size() - 3] ^= 1;
  write_text_file(folder / "x.h5.part", bytes);
  EXPECT_THAT(input_error([&] { pack_dataset(NumberedSet(30), folder / "x.h5", "all", {}); }),
              AllOf(HasSubstr("x.h5.part"), HasSubstr("damaged")));
}

TEST(Packed, HoldsTheSameForAnyNumberOfWorkers) {
  const TemporaryFolder folder;
  NumberedSet source(57);
  source.bad = {11, 12, 40};
  for (const auto layout : {PackLayout::kRaw, PackLayout::kEncoded}) {
    PackOptions options{.layout = layout, .max_bad_images = 0.1};
    const auto report = pack_dataset(source, folder / "0.h5", "all", options);
    ASSERT_EQ(report.images, 54);
    for (const int64_t workers : {1, 3}) {
      options.workers = workers;
      const auto other = pack_dataset(source, folder / "n.h5", "all", options);
      EXPECT_EQ(other.bytes, report.bytes);
      ASSERT_EQ(other.bad.size(), 3U);
      EXPECT_EQ(other.bad[1].index, 12);
      const auto expected = open_packed(folder / "0.h5", "all");
      const auto packed = open_packed(folder / "n.h5", "all");
      for (int64_t index = 0; index < 54; ++index) {
        EXPECT_TRUE(same_pixels(packed->get(index).image, expected->get(index).image)) << index;
        EXPECT_EQ(packed->label(index), expected->label(index)) << index;
      }
      EXPECT_THAT(packed->sample_name(11), HasSubstr(source.sample_name(13)));
    }
  }
}

TEST(Packed, StopsAtOtherErrorsWithSeveralWorkers) {
  const TemporaryFolder folder;
  NumberedSet source(200);
  source.broken = 90;
  EXPECT_THROW(pack_dataset(source, folder / "a.h5", "all", {.workers = 3}), std::logic_error);
  EXPECT_FALSE(fs::exists(folder / "a.h5"));
}

TEST(Packed, RemembersWhereItsImagesComeFrom) {
  const TemporaryFolder folder;
  pack_dataset(NumberedSet(9), folder / "train.h5", "train", {.source = "digits"});
  pack_dataset(NumberedSet(9), folder / "val.h5", "val", {});
  EXPECT_EQ(packed_source(folder.path(), "train"), "digits");
  EXPECT_EQ(packed_source(folder / "val.h5", "val"), "");
  EXPECT_EQ(open_packed(folder / "train.h5", "train")->size(), 9);
}

class PackedLayouts : public testing::TestWithParam<PackLayout> {};

TEST_P(PackedLayouts, GiveBackEveryPixel) {
  const TemporaryFolder folder;
  const NumberedSet source(23);
  pack_dataset(source, folder / "train.h5", "train", {.layout = GetParam()});
  const auto packed = open_packed(folder.path(), "training");
  ASSERT_EQ(packed->size(), 23);
  for (int64_t index = 0; index < 23; ++index) {
    const auto sample = packed->get(index);
    EXPECT_EQ(sample.label, index % 3);
    const cv::Mat gray = source.get(index).image;
    cv::Mat first;
    cv::extractChannel(sample.image, first, 0);
    EXPECT_TRUE(same_pixels(first, gray));
  }
  EXPECT_TRUE(find_bad_images(*packed, /*workers=*/2).empty());
}

INSTANTIATE_TEST_SUITE_P(Kinds, PackedLayouts,
                         testing::Values(PackLayout::kAuto, PackLayout::kRaw, PackLayout::kEncoded),
                         [](const auto& test) { return enum_name(test.param); });

TEST(Packed, LeavesOutBadImagesUpToTheLimit) {
  const TemporaryFolder folder;
  NumberedSet source(20);
  source.bad = {7};
  const auto report = pack_dataset(source, folder / "a.h5", "all", {.max_bad_images = 0.05});
  EXPECT_EQ(report.images, 19);
  ASSERT_EQ(report.bad.size(), 1);
  EXPECT_EQ(report.bad[0].index, 7);
  EXPECT_EQ(open_packed(folder / "a.h5", "all")->label(7), 8 % 3);
  source.bad = {7, 11};
  EXPECT_THAT(
      input_error([&] { pack_dataset(source, folder / "b.h5", "all", {.max_bad_images = 0.05}); }),
      AllOf(HasSubstr("numbered[7]"), HasSubstr("numbered[11]")));
  EXPECT_FALSE(fs::exists(folder / "b.h5"));
}

TEST(Packed, RawImagesHaveOneSize) {
  const TemporaryFolder folder;
  write_images(folder / "images");
  const auto source = open_image_folder(folder / "images", "all");
  EXPECT_THAT(input_error([&] {
                pack_dataset(*source, folder / "a.h5", "all", {.layout = PackLayout::kRaw});
              }),
              AllOf(HasSubstr("cat/1.jpg"), HasSubstr("11x13")));
}

TEST(Packed, OneFileIsDividedUnlessItIsASplit) {
  const TemporaryFolder folder;
  const NumberedSet source(30);
  pack_dataset(source, folder / "all.h5", "all", {});
  EXPECT_EQ(open_packed(folder / "all.h5", "train")->size(), 27);
  EXPECT_EQ(open_packed(folder / "all.h5", "val")->size(), 3);
  pack_dataset(source, folder / "val.h5", "val", {});
  EXPECT_EQ(open_packed(folder / "val.h5", "test")->size(), 30);
  EXPECT_THAT(input_error([&] { open_packed(folder / "val.h5", "train"); }),
              AllOf(HasSubstr("split train"), HasSubstr("split val")));
  EXPECT_THAT(input_error([&] { open_packed(folder.path(), "train"); }), HasSubstr("train.h5"));
}

/// Changes one byte of the first place where `pattern` stands in the file.
void damage(const fs::path& path, const std::vector<uint8_t>& pattern, size_t offset) {
  auto bytes = read_bytes(path);
  const auto found = std::search(bytes.begin(), bytes.end(), pattern.begin(), pattern.end());
  ASSERT_NE(found, bytes.end());
  *(found + static_cast<ptrdiff_t>(offset)) ^= 0x01;
  write_file(path, bytes);
}

TEST(Packed, DamageOfOneImageIsFoundAndNamed) {
  const TemporaryFolder folder;
  const NumberedSet source(12);
  const auto path = folder / "a.h5";
  pack_dataset(source, path, "all", {.layout = PackLayout::kRaw});
  const auto image = source.get(5).image;
  damage(path, {image.data, image.data + image.total()}, 20);
  const auto packed = open_packed(path, "all");
  EXPECT_NO_THROW(packed->get(4));
  EXPECT_THAT(input_error([&] { packed->get(5); }),
              AllOf(HasSubstr("a.h5[5]"), HasSubstr("checksum")));
  const auto bad = find_bad_images(*packed, /*workers=*/2);
  ASSERT_EQ(bad.size(), 1);
  EXPECT_EQ(bad[0].index, 5);
}

TEST(Packed, DamageOfTheIndexIsFound) {
  const TemporaryFolder folder;
  const NumberedSet source(40);
  const auto path = folder / "a.h5";
  pack_dataset(source, path, "all", {});
  // Labels 0, 1, 2 as 64-bit numbers.
  std::vector<uint8_t> labels(24, 0);
  labels[8] = 1;
  labels[16] = 2;
  damage(path, labels, 8);
  EXPECT_THAT(input_error([&] { open_packed(path, "all"); }),
              AllOf(HasSubstr("a.h5"), HasSubstr("checksum of its index")));
}

TEST(Packed, TruncatedAndForeignFilesAreNamed) {
  const TemporaryFolder folder;
  const NumberedSet source(40);
  const auto path = folder / "a.h5";
  pack_dataset(source, path, "all", {});
  auto bytes = read_bytes(path);
  for (const size_t size : {bytes.size() - 100, bytes.size() / 2, size_t{10}, size_t{0}}) {
    write_file(path, {bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)});
    EXPECT_THAT(input_error([&] { open_packed(path, "all"); }), HasSubstr("a.h5")) << size;
  }
  auto file = Hdf5File::create(folder / "other.h5", folder / "other.h5");
  file.write_text("format", "something");
  file.close();
  EXPECT_THAT(input_error([&] { open_packed(folder / "other.h5", "all"); }),
              AllOf(HasSubstr("other.h5"), HasSubstr("another kind")));
}

}  // namespace
}  // namespace softmoe
