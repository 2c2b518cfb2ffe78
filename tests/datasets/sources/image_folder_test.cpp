#include "datasets/sources/image_folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <map>
#include <opencv2/imgproc.hpp>

#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/jpeg.h"
#include "datasets/small_sets.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using test::input_error;
using test::jpeg_bytes;
using test::picture;
using test::same_pixels;
using test::TemporaryFolder;
using test::write_file;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

void write_images(const fs::path& folder, int count) {
  for (int i = 0; i < count; ++i) {
    write_file(folder / (std::to_string(10 + i) + ".png"),
               encode_png(picture(6, 9, static_cast<uint64_t>(i))));
  }
}

/// The log lines of opening `split` of `root`.
std::vector<std::string> lines_of(const fs::path& root, const std::string& split) {
  std::vector<std::string> lines;
  const auto previous = set_log_sink([&lines](const std::string& line) { lines.push_back(line); });
  open_image_folder(root, split);
  set_log_sink(previous);
  return lines;
}

TEST(ImageFolder, TakesSplitFoldersAndTheClassesOfTheTrainingSplit) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "cat", 3);
  write_images(folder / "train" / "dog" / "deeper", 2);
  fs::create_directories(folder / "train" / "bird");
  write_images(folder / "validation" / "dog", 1);
  write_images(folder / "validation" / "ant", 2);
  write_images(folder / "test", 2);
  const auto train = open_image_folder(folder.path(), "train");
  const auto val = open_image_folder(folder.path(), "val");
  EXPECT_THAT(train->class_names(), ElementsAre("cat", "dog"));
  EXPECT_EQ(val->class_names(), train->class_names());
  ASSERT_EQ(train->size(), 5);
  ASSERT_EQ(val->size(), 1);
  EXPECT_EQ(train->label(0), 0);
  EXPECT_EQ(train->label(4), 1);
  EXPECT_EQ(val->get(0).label, 1);
  EXPECT_THAT(train->sample_name(4), testing::EndsWith("train/dog/deeper/11.png"));
  EXPECT_TRUE(same_pixels(train->get(1).image, picture(6, 9, 1)));
  EXPECT_EQ(open_image_folder(folder.path(), "all")->size(), 6);
  EXPECT_THAT(lines_of(folder.path(), "train"),
              ElementsAre(AllOf(HasSubstr("test left out, which has no class folders"),
                                HasSubstr("train on: bird"))));
  EXPECT_THAT(lines_of(folder.path(), "val"),
              ElementsAre(AllOf(HasSubstr("1 image of 2 classes"), HasSubstr("train on: ant"))));
}

struct SplitWord {
  const char* train;
  const char* val;
};

void PrintTo(const SplitWord& words, std::ostream* out) { *out << words.train << words.val; }

class SplitWords : public testing::TestWithParam<SplitWord> {};

TEST_P(SplitWords, NameSplitsInAnyCase) {
  const TemporaryFolder folder;
  for (const char* name : {"cat", "dog"}) {
    write_images(folder / GetParam().train / name, 3);
    write_images(folder / GetParam().val / name, 1);
  }
  EXPECT_EQ(open_image_folder(folder.path(), "train")->size(), 6);
  EXPECT_EQ(open_image_folder(folder.path(), "val")->size(), 2);
  EXPECT_THAT(open_image_folder(folder.path(), "val")->class_names(), ElementsAre("cat", "dog"));
}

INSTANTIATE_TEST_SUITE_P(ImageFolder, SplitWords,
                         testing::Values(SplitWord{"Train", "Test"}, SplitWord{"TRAINING", "dev"},
                                         SplitWord{"training", "Testing"},
                                         SplitWord{"train", "Valid"}),
                         [](const auto& test) {
                           return std::string(test.param.train) + test.param.val;
                         });

TEST(ImageFolder, HoldsOutOfATrainingSplitThatIsAlone) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "cat", 20);
  write_images(folder / "train" / "dog", 10);
  EXPECT_EQ(open_image_folder(folder.path(), "train")->size(), 27);
  EXPECT_EQ(open_image_folder(folder.path(), "val")->size(), 3);
  EXPECT_EQ(open_image_folder(folder.path(), "all")->size(), 30);
  EXPECT_THAT(lines_of(folder.path(), "train"),
              ElementsAre(HasSubstr("30 images of 2 classes"), HasSubstr("train has 27 of 30")));
}

TEST(ImageFolder, LeavesOutWhatSystemsAndRunsMake) {
  const TemporaryFolder folder;
  write_images(folder / "cat", 3);
  write_images(folder / "dog", 3);
  write_file(folder / "cat" / "._10.png", encode_png(picture(6, 9, 1)));
  write_images(folder / "cat" / ".ipynb_checkpoints", 2);
  write_images(folder / "dog" / "__MacOSX", 2);
  write_images(folder / "__MACOSX" / "cat", 2);
  write_images(folder / "runs" / "first" / "pictures", 2);
  write_text_file(folder / "runs" / "first" / "config.toml", "");
  write_text_file(folder / "runs" / "first" / "summary.csv", "");
  const auto all = open_image_folder(folder.path(), "all");
  EXPECT_THAT(all->class_names(), ElementsAre("cat", "dog"));
  EXPECT_EQ(all->size(), 6);
  EXPECT_THAT(lines_of(folder.path(), "all"),
              ElementsAre(AllOf(HasSubstr("6 images of 2 classes"), HasSubstr("train on: runs"),
                                HasSubstr("4 hidden or system entries"))));
}

TEST(ImageFolder, FollowsNoLinkToWhatItHas) {
  const TemporaryFolder folder;
  write_images(folder / "set" / "cat", 3);
  write_images(folder / "set" / "dog", 2);
  write_images(folder / "store", 4);
  for (const auto& [target, name] : {std::pair{"..", "up"},
                                     {"../..", "above"},
                                     {"../dog", "dogs"},
                                     {"nowhere", "broken"},
                                     {".", "self"}}) {
    fs::create_directory_symlink(target, folder / "set" / "cat" / name);
  }
  fs::create_directory_symlink("cat", folder / "set" / "a");         // a second name
  fs::create_directory_symlink("../store", folder / "set" / "owl");  // a class elsewhere
  fs::create_directory_symlink("..", folder / "set" / "root");
  const auto all = open_image_folder(folder / "set", "all");
  EXPECT_THAT(all->class_names(), ElementsAre("cat", "dog", "owl"));
  std::map<int64_t, int64_t> counts;
  for (int64_t index = 0; index < all->size(); ++index) {
    ++counts[all->label(index)];
  }
  EXPECT_THAT(counts, ElementsAre(testing::Pair(0, 3), testing::Pair(1, 2), testing::Pair(2, 4)));
  EXPECT_THAT(lines_of(folder / "set", "all"),
              ElementsAre(HasSubstr("links to folders that are here already")));
}

TEST(ImageFolder, TakesFilesAlone) {
  const TemporaryFolder folder;
  write_images(folder / "cat", 2);
  write_images(folder / "dog", 2);
  ASSERT_EQ(::mkfifo((folder / "cat" / "pipe.png").c_str(), 0600), 0);
  EXPECT_EQ(open_image_folder(folder.path(), "all")->size(), 4);
}

TEST(ImageFolder, TakesTheFolderOfTheVeryNameFirst) {
  const TemporaryFolder folder;
  for (const char* label : {"cat", "dog"}) {
    write_images(folder / "Train" / label, 3);
    write_images(folder / "train" / label, 2);
    write_images(folder / "val" / label, 1);
  }
  EXPECT_EQ(open_image_folder(folder.path(), "train")->size(), 4);
}

TEST(ImageFolder, TakesTheOneFolderOfEachClass) {
  const TemporaryFolder folder;  // as Tiny ImageNet has it
  for (const char* label : {"n01", "n02"}) {
    write_images(folder / "train" / label / "images", 3);
    write_images(folder / "val" / label / "images", 1);
  }
  EXPECT_THAT(open_image_folder(folder.path(), "train")->class_names(), ElementsAre("n01", "n02"));
}

TEST(ImageFolder, StopsAtFoldersOnAnotherLevel) {
  const TemporaryFolder folder;
  write_images(folder / "photos" / "photos" / "cat", 2);
  write_images(folder / "photos" / "photos" / "dog", 2);
  for (const char* label : {"cat", "dog"}) {
    write_images(folder / "years" / "2019" / label, 2);
    write_images(folder / "years" / "2020" / label, 2);
    write_images(folder / "twice" / "seg_train" / "seg_train" / label, 2);
    write_images(folder / "twice" / "seg_test" / "seg_test" / label, 2);
    write_images(folder / "below" / "data" / "train" / label, 2);
    write_images(folder / "below" / "more" / label, 2);
  }
  write_images(folder / "flat_splits" / "train", 3);
  write_images(folder / "flat_splits" / "test", 3);
  write_images(folder / "flat", 3);
  const auto error = [](const fs::path& root) {
    return input_error([&] { open_image_folder(root, "train"); });
  };
  EXPECT_THAT(
      error(folder / "photos"),
      AllOf(HasSubstr((folder / "photos").string() + ": expected class folders"),
            HasSubstr("found photos without images of its own, but with folders cat, dog")));
  EXPECT_THAT(error(folder / "years"),
              HasSubstr("2019, 2020 without images of their own, but with folders cat, dog in"));
  EXPECT_THAT(error(folder / "twice"), HasSubstr("with folders seg_test, seg_train in them"));
  EXPECT_THAT(error(folder / "below"), HasSubstr("data, more without images of their own"));
  EXPECT_THAT(error(folder / "flat_splits"),
              AllOf(HasSubstr("flat_splits/train: expected class folders"),
                    HasSubstr("found 3 images and no folders")));
  EXPECT_THAT(error(folder / "flat"), HasSubstr("found 3 images and no folders"));
}

TEST(ImageFolder, NamesAFolderThatCannotBeRead) {
  const TemporaryFolder folder;
  write_images(folder / "cat", 2);
  write_images(folder / "dog", 2);
  fs::permissions(folder / "dog", fs::perms::none);
  std::error_code error;
  if (fs::directory_iterator(folder / "dog", error); !error) {
    GTEST_SKIP() << "root reads any folder";
  }
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path(), "train"); }),
              HasSubstr((folder / "dog").string() + ": cannot be read: "));
  fs::permissions(folder / "dog", fs::perms::owner_all);
}

TEST(ImageFolder, TakesASubfolderOfAnyName) {
  const TemporaryFolder folder;
  write_images(folder / "fold1" / "cat", 3);
  write_images(folder / "fold2" / "cat", 2);
  EXPECT_EQ(open_image_folder(folder.path(), "fold2")->size(), 2);
}

TEST(ImageFolder, NamesOfClassesAreValidTextWhateverTheFoldersAreCalled) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "caf\xe9", 2);
  write_images(folder / "val" / "caf\xe9", 1);
  const auto train = open_image_folder(folder.path(), "train");
  EXPECT_THAT(train->class_names(), ElementsAre("caf\uFFFD"));
  EXPECT_TRUE(same_pixels(train->get(1).image, picture(6, 9, 1)));
}

TEST(ImageFolder, HoldsOutEveryTenthImageOfAClassWithoutSplits) {
  const TemporaryFolder folder;
  write_images(folder / "a", 23);
  write_images(folder / "b", 4);
  write_images(folder / "c", 1);
  const auto train = open_image_folder(folder.path(), "train");
  const auto val = open_image_folder(folder.path(), "val");
  EXPECT_EQ(open_image_folder(folder.path(), "all")->size(), 28);
  EXPECT_EQ(train->size(), 28 - 4);
  ASSERT_EQ(val->size(), 4);
  std::vector<int64_t> labels;
  std::set<std::string> names;
  for (int64_t index = 0; index < val->size(); ++index) {
    labels.push_back(val->label(index));
    names.insert(val->sample_name(index));
  }
  EXPECT_THAT(labels, ElementsAre(0, 0, 0, 1));
  for (int64_t index = 0; index < train->size(); ++index) {
    EXPECT_FALSE(names.contains(train->sample_name(index)));
  }
}

TEST(ImageFolder, LeavesOutOtherFilesAndSaysSo) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "a", 2);
  write_images(folder / "val" / "a", 2);
  write_text_file(folder / "train" / "a" / "notes.txt", "no image");
  EXPECT_EQ(open_image_folder(folder.path(), "train")->size(), 2);
  EXPECT_THAT(lines_of(folder.path(), "train"),
              ElementsAre(HasSubstr("left out: 1 file that is no image")));
}

TEST(ImageFolder, NamesWhatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path(), "train"); }),
              HasSubstr("no image files"));
  EXPECT_THAT(input_error([&] { open_image_folder(folder / "x", "train"); }),
              AllOf(HasSubstr((folder / "x").string()), HasSubstr("no such folder")));
  write_images(folder / "val" / "a", 1);
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path(), "train"); }),
              AllOf(HasSubstr("split 'train'"), HasSubstr("found val")));
  EXPECT_THROW(open_image_folder(folder.path(), "nonsense"), InputError);
}

struct BadFile {
  const char* name;
  std::vector<uint8_t> bytes;
};

void PrintTo(const BadFile& image, std::ostream* out) { *out << image.name; }

class BadImageFile : public testing::TestWithParam<BadFile> {};

TEST_P(BadImageFile, IsNamed) {
  const TemporaryFolder folder;
  write_file(folder / "a" / "bad.img.jpg", GetParam().bytes);
  const auto set = open_image_folder(folder.path(), "all");
  const auto message = input_error([&] { set->get(0); });
  EXPECT_THAT(message, HasSubstr((folder / "a" / "bad.img.jpg").string()));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

std::vector<uint8_t> first_part(std::vector<uint8_t> bytes, double share) {
  bytes.resize(static_cast<size_t>(share * static_cast<double>(bytes.size())));
  return bytes;
}

std::vector<uint8_t> end_marker_inside(std::vector<uint8_t> bytes) {
  bytes[bytes.size() * 2 / 3] = 0xFF;
  bytes[bytes.size() * 2 / 3 + 1] = 0xD9;
  return bytes;
}

std::vector<uint8_t> png_with_flipped_bit(std::vector<uint8_t> bytes) {
  bytes[bytes.size() / 2] ^= 0x10;
  return bytes;
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadImageFile,
    testing::Values(
        BadFile{"Empty", {}}, BadFile{"Text", {'n', 'o', ' ', 'i', 'm', 'a', 'g', 'e', '\n'}},
        BadFile{"JpegHeaderAlone", {0xFF, 0xD8, 0xFF, 0xE0}},
        BadFile{"JpegWithoutItsEnd", first_part(jpeg_bytes(picture(48, 64, 1)), 0.97)},
        BadFile{"HalfAJpeg", first_part(jpeg_bytes(picture(48, 64, 1)), 0.5)},
        BadFile{"JpegThatEndsInside", end_marker_inside(jpeg_bytes(picture(48, 64, 1)))},
        BadFile{"PngWithoutItsEnd", first_part(encode_png(picture(48, 64, 1)), 0.999)},
        BadFile{"PngSignatureAlone", first_part(encode_png(picture(48, 64, 1)), 0.0015)},
        BadFile{"HalfAPng", first_part(encode_png(picture(48, 64, 1)), 0.5)},
        BadFile{"DamagedPng", png_with_flipped_bit(encode_png(picture(48, 64, 1)))}),
    [](const auto& test) { return test.param.name; });

TEST(ImageFolder, NamesAFileThatVanished) {
  const TemporaryFolder folder;
  write_images(folder / "a", 1);
  const auto set = open_image_folder(folder.path(), "all");
  fs::remove(folder / "a" / "10.png");
  EXPECT_THAT(input_error([&] { set->get(0); }),
              AllOf(HasSubstr("10.png"), HasSubstr("No such file")));
}

TEST(Jpeg, IsDecodedAsRgb) {
  cv::Mat image(16, 24, CV_8UC3, cv::Scalar(250, 60, 10));
  const auto decoded = decode_image(jpeg_bytes(image), "image");
  EXPECT_LE(cv::norm(decoded, image, cv::NORM_INF), 4.0);
}

TEST(Jpeg, GrayFilesGetThreeChannels) {
  const cv::Mat gray(8, 8, CV_8UC1, cv::Scalar(90));
  const auto decoded = decode_image(encode_png(gray), "image");
  EXPECT_EQ(decoded.at<cv::Vec3b>(3, 3), cv::Vec3b(90, 90, 90));
}

/// An APP1 segment with one entry, the orientation, in the given byte order.
std::vector<uint8_t> exif_segment(uint8_t orientation, bool little) {
  std::vector<uint8_t> body = {'E', 'x', 'i', 'f', 0, 0};
  if (little) {
    test::append(body, {'I', 'I', 42, 0, 8, 0,           0, 0, 1, 0, 0x12, 0x01, 3,
                        0,   1,   0,  0, 0, orientation, 0, 0, 0, 0, 0,    0,    0});
  } else {
    test::append(body, {'M', 'M', 0, 42, 0, 0, 0,           8, 0, 1, 0x01, 0x12, 0,
                        3,   0,   0, 0,  1, 0, orientation, 0, 0, 0, 0,    0,    0});
  }
  return body;
}

/// What each EXIF orientation asks for.
cv::Mat turned(const cv::Mat& stored, int orientation) {
  cv::Mat image;
  switch (orientation) {
    case 2:
      cv::flip(stored, image, 1);
      break;
    case 3:
      cv::rotate(stored, image, cv::ROTATE_180);
      break;
    case 4:
      cv::flip(stored, image, 0);
      break;
    case 5:
      cv::transpose(stored, image);
      break;
    case 6:
      cv::rotate(stored, image, cv::ROTATE_90_CLOCKWISE);
      break;
    case 7:
      cv::rotate(stored.t(), image, cv::ROTATE_180);
      break;
    case 8:
      cv::rotate(stored, image, cv::ROTATE_90_COUNTERCLOCKWISE);
      break;
    default:
      image = stored;
  }
  return image;
}

TEST(Jpeg, IsTurnedUpright) {
  const auto plain = jpeg_bytes(picture(32, 48, 6));
  const auto stored = decode_image(plain, "image");
  for (uint8_t orientation = 1; orientation <= 8; ++orientation) {
    const auto body = exif_segment(orientation, orientation % 2 == 0);
    std::vector<uint8_t> bytes = {0xFF, 0xD8, 0xFF, 0xE1, 0, static_cast<uint8_t>(body.size() + 2)};
    test::append(bytes, body);
    bytes.insert(bytes.end(), plain.begin() + 2, plain.end());
    const auto decoded = decode_image(bytes, "image");
    EXPECT_TRUE(same_pixels(decoded, turned(stored, orientation))) << int{orientation};
  }
}

TEST(Jpeg, DamagedExifSaysNoOrientation) {
  auto body = exif_segment(6, true);
  EXPECT_EQ(exif_orientation(body), 6);
  body[10] = 0xF0;  // the directory would lie behind the end
  body[11] = 0xFF;
  EXPECT_EQ(exif_orientation(body), 1);
  for (size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(exif_orientation(std::span(body).first(size)), 1);
  }
}

}  // namespace
}  // namespace softmoe
