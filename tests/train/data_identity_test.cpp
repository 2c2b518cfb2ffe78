#include "train/data_identity.h"

#include <gmock/gmock.h>

#include "core/error.h"

namespace softmoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// A set that has names of images alone.
class Names : public Dataset {
 public:
  Names(std::vector<std::string> classes, std::vector<std::string> names)
      : classes_(std::move(classes)), names_(std::move(names)) {}
  int64_t size() const override { return std::ssize(names_); }
  Sample get(int64_t /*index*/) const override { return {}; }
  const std::vector<std::string>& class_names() const override { return classes_; }
  std::string sample_name(int64_t index) const override {
    return names_.at(static_cast<size_t>(index));
  }

 private:
  std::vector<std::string> classes_;
  std::vector<std::string> names_;
};

const std::vector<std::string> kCatAndDog{"cat", "dog"};

DataIdentity identity(const std::vector<std::string>& train, const std::string& folder,
                      const std::vector<std::string>& classes = kCatAndDog) {
  DatasetOptions options;
  options.data_dir = folder;
  return data_identity(Names(classes, train), Names(classes, {folder + "/val/1.png"}), options);
}

void check(const DataIdentity& before, const DataIdentity& now) {
  check_same_data(before.class_names, to_json(before), now, "runs/a");
}

TEST(DataIdentity, DoesNotDependOnWhereTheFolderIs) {
  EXPECT_EQ(identity({"a/cat/1.png", "a/cat/2.png"}, "a"),
            identity({"./b/cat/1.png", "./b/cat/2.png"}, "./b"));
  EXPECT_EQ(identity({"a/cat/1.png"}, "a"), identity({"a/cat/1.png"}, "a/"));
}

TEST(DataIdentity, DoesNotDependOnHowAccentsAreWritten) {
  EXPECT_EQ(identity({"caf\u00e9/1.png"}, ""), identity({"cafe\u0301/1.png"}, ""));
}

TEST(DataIdentity, DependsOnNamesAndTheirOrder) {
  const auto first = identity({"cat/1", "cat/2"}, "");
  EXPECT_NO_THROW(check(first, first));
  for (const auto& names :
       {std::vector<std::string>{"cat/2", "cat/1"}, {"cat/1", "dog/2"}, {"cat/1cat/2", ""}}) {
    EXPECT_THAT([&] { check(first, identity(names, "")); },
                ThrowsMessage<InputError>(AllOf(HasSubstr("training images"), HasSubstr("runs/a"),
                                                HasSubstr("as many with other names"))));
  }
  EXPECT_THAT(
      [&] { check(first, identity({"cat/1"}, "")); },
      ThrowsMessage<InputError>(HasSubstr("expected 2 images as it began with, found 1 image")));
}

TEST(DataIdentity, NamesTheFirstClassThatDiffers) {
  const auto first = identity({"1"}, "");
  EXPECT_THAT(
      [&] {
        check(first, identity({"1"}, "", {"cat", "fox"}));
      },
      ThrowsMessage<InputError>(HasSubstr("class 1: expected 'dog', found 'fox'")));
  EXPECT_THAT([&] { check(first, identity({"1"}, "", {"cat"})); },
              ThrowsMessage<InputError>(HasSubstr("expected 2 classes, found 1")));
  // Checkpoints hold names as UTF-8.
  EXPECT_NO_THROW(check_same_classes({"caf\uFFFD"}, {"caf\xe9"}, "data"));
}

}  // namespace
}  // namespace softmoe
