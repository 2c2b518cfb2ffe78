#include "datasets/sources/image_folder.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <map>

#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/small_sets.h"
#include "datasets/sources/folder_files.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using test::input_error;
using test::lines_of;
using test::picture;
using test::same_pixels;
using test::TemporaryFolder;
using test::write_file;
using test::write_images;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

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

TEST(ImageFolder, HoldsOutOfTheTrainingSplitThatIsNamed) {
  const TemporaryFolder folder;
  write_images(folder / "fold_\u00e9" / "cat", 20);
  write_images(folder / "fold_\u00e9" / "dog", 10);
  const SplitChoice choice{.train = "fold_e\u0301", .val = "val"};
  EXPECT_EQ(open_image_folder(folder.path(), choice.train, choice)->size(), 27);
  EXPECT_EQ(open_image_folder(folder.path(), "val", choice)->size(), 3);
  write_images(folder / "val" / "dog", 2);
  EXPECT_EQ(open_image_folder(folder.path(), choice.train, choice)->size(), 30);
  const auto val = open_image_folder(folder.path(), "val", choice);
  EXPECT_EQ(val->size(), 2);
  EXPECT_EQ(val->label(0), 1);
}

TEST(ImageFolder, TakesTheClassesOfTheTrainingSplitThatIsNamed) {
  const TemporaryFolder folder;
  write_images(folder / "fold1" / "cat", 3);
  write_images(folder / "fold1" / "dog", 3);
  write_images(folder / "fold2" / "dog", 2);
  const SplitChoice choice{.train = "fold1", .val = "fold2"};
  EXPECT_EQ(open_image_folder(folder.path(), "fold1", choice)->size(), 6);
  EXPECT_THAT(open_image_folder(folder.path(), "fold2", choice)->class_names(),
              ElementsAre("cat", "dog"));
  for (const char* train : {"fold3", "Fold1"}) {
    EXPECT_THAT(
        input_error([&] { open_image_folder(folder.path(), train, {.train = train}); }),
        AllOf(HasSubstr("(here are fold1, fold2)"), HasSubstr(std::string("'") + train + "'")));
  }
  write_images(folder / "train" / "cat", 2);
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path(), "fold3", {.train = "fold3"}); }),
              HasSubstr("subfolder for split 'fold3', found fold1, fold2, train"));
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

TEST(ImageFolder, WarnsOfAClassThatIsNamedAsASplit) {
  const TemporaryFolder folder;
  for (const auto* name : {"cat", "dog", "Test"}) {
    write_images(folder / name, 2);
  }
  EXPECT_EQ(open_image_folder(folder.path(), "all")->class_names().size(), 3U);
  EXPECT_THAT(lines_of(folder.path(), "all"),
              ElementsAre(HasSubstr("warning: named as a split, but a class")));
}

TEST(ImageFolder, TakesClassesOfOneFolderOfAnyName) {
  const TemporaryFolder folder;
  write_images(folder / "cat" / "all", 2);
  write_images(folder / "dog" / "all", 2);
  EXPECT_EQ(open_image_folder(folder.path(), "all")->size(), 4);
}

TEST(ImageFolder, NamesLinksThatLeadNowhere) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "a", 2);
  write_images(folder / "val" / "a", 2);
  std::filesystem::create_symlink("gone/2.png", folder / "train" / "a" / "2.png");
  std::filesystem::create_symlink("loop", folder / "train" / "a" / "loop");
  EXPECT_EQ(open_image_folder(folder.path(), "train")->size(), 2);
  EXPECT_THAT(lines_of(folder.path(), "train"),
              ElementsAre(AllOf(HasSubstr("left out: 2 links that lead nowhere ("),
                                HasSubstr("a/2.png"), Not(HasSubstr("no image")))));
}

TEST(ImageFolder, NamesFormatsThatAreNotRead) {
  const TemporaryFolder folder;
  write_text_file(folder / "a" / "1.heic", "no pixels");
  write_text_file(folder / "b" / "2.AVIF", "no pixels");
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path(), "train"); }),
              HasSubstr("2 images of formats that are not read (.avif, .heic)"));
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

TEST(ImageFolder, NamesAFileThatVanished) {
  const TemporaryFolder folder;
  write_images(folder / "a", 1);
  const auto set = open_image_folder(folder.path(), "all");
  fs::remove(folder / "a" / "10.png");
  EXPECT_THAT(input_error([&] { set->get(0); }),
              AllOf(HasSubstr("10.png"), HasSubstr("No such file")));
}

}  // namespace
}  // namespace softmoe
