/// Names of classes and of their folders.

#include <gmock/gmock.h>

#include "datasets/small_sets.h"
#include "datasets/sources/folder_files.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::lines_of;
using test::picture;
using test::same_pixels;
using test::TemporaryFolder;
using test::write_images;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(ImageFolder, TakesASubfolderOfAnyName) {
  const TemporaryFolder folder;
  write_images(folder / "fold1" / "cat", 3);
  write_images(folder / "fold2" / "cat", 2);
  EXPECT_EQ(open_image_folder(folder.path(), "fold2")->size(), 2);
}

TEST(ImageFolder, NamesOfClassesAreValidTextWhateverTheFoldersAreCalled) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "caf\xe8", 3);
  write_images(folder / "train" / "caf\xe9", 2);
  write_images(folder / "val" / "caf\xe9", 1);
  const auto train = open_image_folder(folder.path(), "train");
  EXPECT_THAT(train->class_names(), ElementsAre("caf\\xE8", "caf\\xE9"));
  EXPECT_TRUE(same_pixels(train->get(1).image, picture(6, 9, 1)));
  EXPECT_EQ(open_image_folder(folder.path(), "val")->label(0), 1);
}

TEST(ImageFolder, NamesOfOneTextInUnicodeAreOneClass) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "caf\u00e9", 3);  // as Linux writes it
  write_images(folder / "train" / "tea", 2);
  write_images(folder / "val" / "cafe\u0301", 2);  // as macOS does
  write_images(folder / "val" / "tea", 1);
  const auto val = open_image_folder(folder.path(), "val");
  EXPECT_THAT(val->class_names(), ElementsAre("caf\u00e9", "tea"));
  EXPECT_EQ(val->size(), 3);
  EXPECT_EQ(val->label(1), 0);
  EXPECT_THAT(lines_of(folder.path(), "val"), ElementsAre(Not(HasSubstr(";"))));

  write_images(folder / "train" / "cafe\u0301", 4);
  const auto train = open_image_folder(folder.path(), "train");
  EXPECT_THAT(train->class_names(), ElementsAre("caf\u00e9", "tea"));
  EXPECT_EQ(train->size(), 9);
  EXPECT_EQ(train->label(6), 0);
  EXPECT_THAT(lines_of(folder.path(), "train"),
              ElementsAre(HasSubstr("in their Unicode form alone are one class: caf\u00e9")));
  EXPECT_EQ(open_image_folder(folder.path(), "val")->size(), 3);
}

TEST(ImageFolder, WarnsOfNamesThatDifferInCaseAlone) {
  const TemporaryFolder folder;
  write_images(folder / "train" / "Cat", 3);
  write_images(folder / "train" / "dog", 3);
  write_images(folder / "val" / "cat", 2);
  write_images(folder / "val" / "dog", 2);
  EXPECT_THAT(lines_of(folder.path(), "train"), ElementsAre(Not(HasSubstr("case"))));
  EXPECT_THAT(lines_of(folder.path(), "val"),
              ElementsAre(AllOf(HasSubstr("2 images of 2 classes"), HasSubstr("train on: cat"),
                                HasSubstr("warning: names that differ in case alone are different "
                                          "classes: Cat, cat"))));
  write_images(folder / "train" / "cat", 1);
  EXPECT_THAT(open_image_folder(folder.path(), "val")->class_names(),
              ElementsAre("Cat", "cat", "dog"));
  EXPECT_THAT(lines_of(folder.path(), "train"), ElementsAre(HasSubstr("classes: Cat, cat")));
}

}  // namespace
}  // namespace softmoe
