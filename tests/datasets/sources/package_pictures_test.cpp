#include "datasets/sources/package_pictures.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "core/error.h"
#include "datasets/small_sets.h"
#include "datasets/sources/folder_files.h"
#include "support/temporary_folder.h"

namespace softmoe::package_pictures_test {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr PicturePackage kFigures{"figures", "/nonexistent/figures", true};
constexpr PicturePackage kThings{"things", "/nonexistent/things", false};

std::set<std::string> names_of(const Dataset& set) {
  std::set<std::string> names;
  for (int64_t index = 0; index < set.size(); ++index) {
    names.insert(std::filesystem::path(set.sample_name(index)).filename().string());
  }
  return names;
}

/// Two kinds of figures: `knights` of four subjects with three frames each, and one in a folder
/// below, and `dragons` of two.
class PackagePictures : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto* const name : {"archer", "lancer", "paladin", "squire"}) {
      for (const auto* const frame : {".png", "-attack-1.png", "2.png"}) {
        write("knights/" + std::string(name) + frame);
      }
    }
    write("knights/mounted/archer.png");
    write("dragons/red.png");
    write("dragons/blue-fly.png");
    write("loner/one.png");
  }
  void write(const std::string& name) {
    test::write_file(folder_.path() / name, encode_png(test::picture(6, 5, 1)));
  }
  std::unique_ptr<Dataset> open(const PicturePackage& package, SplitKind split) const {
    return open_package_pictures(package, folder_.path().string(), split);
  }

  test::TemporaryFolder folder_;
};

TEST_F(PackagePictures, KeepTheFramesOfASubjectInOneSplit) {
  const auto train = open(kFigures, SplitKind::kTrain);
  const auto val = open(kFigures, SplitKind::kVal);
  EXPECT_THAT(train->class_names(), ElementsAre("dragons", "knights"));
  EXPECT_EQ(train->class_names(), val->class_names());
  EXPECT_EQ(train->size() + val->size(), open(kFigures, SplitKind::kAll)->size());
  EXPECT_EQ(open(kFigures, SplitKind::kAll)->size(), 15);
  const auto of_train = names_of(*train);
  for (const auto* const name : {"lancer", "paladin", "squire"}) {
    const auto frame = [name](const char* end) { return name + std::string(end); };
    EXPECT_EQ(of_train.contains(frame(".png")), of_train.contains(frame("-attack-1.png"))) << name;
    EXPECT_EQ(of_train.contains(frame(".png")), of_train.contains(frame("2.png"))) << name;
  }
  for (const auto* const set : {train.get(), val.get()}) {
    std::set<int64_t> labels;
    for (int64_t index = 0; index < set->size(); ++index) {
      labels.insert(set->label(index));
    }
    EXPECT_THAT(labels, ElementsAre(0, 1));
  }
}

TEST_F(PackagePictures, AreSubjectsOfTheirOwnElsewhere) {
  EXPECT_EQ(open(kThings, SplitKind::kVal)->size(), 1 + 13 / 5);
  EXPECT_EQ(open(kThings, SplitKind::kAll)->size(), 15);
}

TEST_F(PackagePictures, NameThePackageThatIsNotInstalled) {
  EXPECT_THAT(test::input_error([] { open_package_pictures(kFigures, "", SplitKind::kTrain); }),
              testing::AllOf(HasSubstr("/nonexistent/figures"), HasSubstr("package figures")));
  const test::TemporaryFolder empty;
  EXPECT_THAT(test::input_error(
                  [&] { open_package_pictures(kThings, empty.path().string(), SplitKind::kVal); }),
              HasSubstr("two folders"));
}

}  // namespace softmoe::package_pictures_test
