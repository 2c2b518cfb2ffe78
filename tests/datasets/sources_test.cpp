#include "datasets/sources.h"

#include <gmock/gmock.h>

#include "datasets/small_sets.h"
#include "datasets/sources/packed_writer.h"
#include "datasets/splits.h"
#include "support/temporary_folder.h"

namespace softmoe {

static void PrintTo(const DatasetRow& row, std::ostream* out) { *out << row.name; }

namespace {

using test::input_error;
using testing::AllOf;
using testing::HasSubstr;

class EverySource : public testing::TestWithParam<DatasetRow> {};

TEST_P(EverySource, SaysWhatItNeeds) {
  const auto& row = GetParam();
  EXPECT_FALSE(row.description.empty());
  DatasetOptions options;
  options.dataset = std::string(row.name);
  if (row.needs_data_dir) {
    EXPECT_THAT(input_error([&] { make_dataset(options, "train"); }), HasSubstr("--data-dir"));
  }
  options.data_dir = "/nonexistent/folder";
  if (row.needs_data_dir) {
    EXPECT_THAT(input_error([&] { make_dataset(options, "train"); }),
                HasSubstr("/nonexistent/folder"));
  }
}

TEST_P(EverySource, RejectsASplitThatDoesNotExist) {
  DatasetOptions options;
  options.dataset = std::string(GetParam().name);
  options.data_dir = testing::TempDir();
  EXPECT_THROW(make_dataset(options, "no-such-split"), InputError);
}

INSTANTIATE_TEST_SUITE_P(Table, EverySource,
                         testing::ValuesIn(dataset_rows().begin(), dataset_rows().end()),
                         [](const auto& test) {
                           std::string name(test.param.name);
                           std::erase(name, '-');
                           return name;
                         });

TEST(Sources, ListKnownNamesForAnUnknownOne) {
  DatasetOptions options;
  options.dataset = "imagnet";
  EXPECT_THAT(input_error([&] { make_dataset(options, "train"); }),
              AllOf(HasSubstr("'imagnet'"), HasSubstr("folder, captions, manifest, shards, hdf5")));
}

TEST(Sources, OpenTheEmbeddedDigits) {
  DatasetOptions options;
  options.dataset = "digits";
  EXPECT_EQ(make_dataset(options, "validation")->size(), 899);
}

TEST(Sources, AdviseOnNamesThatAnotherOneReads) {
  const test::TemporaryFolder folder;
  DatasetOptions options;
  options.data_dir = (folder / "x-{0..3}.tar").string();
  const auto error = [&] { return input_error([&] { make_dataset(options, "train"); }); };
  EXPECT_THAT(error(), HasSubstr("--dataset shards"));
  test::write_file(folder / "list.csv", {'x'});
  options.data_dir = (folder / "list.csv").string();
  EXPECT_THAT(error(), HasSubstr("--dataset manifest"));
  test::write_file(folder / "hf/train/metadata.csv", {'x'});
  test::write_file(folder / "hf/train/0.png", {'x'});
  options.data_dir = (folder / "hf").string();
  EXPECT_THAT(error(), AllOf(HasSubstr("metadata.csv"), HasSubstr("--dataset manifest")));
}

TEST(Sources, OptionsSurviveTheirJson) {
  DatasetOptions options;
  options.dataset = "characters";
  options.characters.scripts = {"han"};
  options.characters.min_faces = 1;
  options.characters.noise = 0.25;
  EXPECT_EQ(options_from_json<DatasetOptions>(options_to_json(options), "test"), options);
}

TEST(Splits, KnowTheWordsOfOtherTools) {
  EXPECT_EQ(split_kind("training"), SplitKind::kTrain);
  EXPECT_EQ(split_kind("validation"), SplitKind::kVal);
  EXPECT_EQ(split_kind("test"), SplitKind::kVal);
  EXPECT_EQ(split_kind("DEV"), SplitKind::kVal);
  EXPECT_EQ(split_kind("fold1"), std::nullopt);
}

TEST(Sources, MirrorImagesThatKeepTheirLabel) {
  const auto hflip = [](const std::string& dataset, const std::string& data_dir = "") {
    DatasetOptions options;
    options.dataset = dataset;
    options.data_dir = data_dir;
    return usual_hflip(options);
  };
  EXPECT_EQ(hflip("folder"), 0.5);
  EXPECT_EQ(hflip("fashion-mnist"), 0.5);
  EXPECT_EQ(hflip("digits"), 0.0);
  EXPECT_EQ(hflip("characters"), 0.0);
  // A packed file is as what was packed.
  const test::TemporaryFolder folder;
  pack_dataset(test::NumberedSet(4), folder / "digits.h5", "all", {.source = "digits"});
  pack_dataset(test::NumberedSet(4), folder / "photos.h5", "all", {.source = "folder"});
  pack_dataset(test::NumberedSet(4), folder / "others.h5", "all", {});
  EXPECT_EQ(hflip("hdf5", (folder / "digits.h5").string()), 0.0);
  EXPECT_EQ(hflip("hdf5", (folder / "photos.h5").string()), 0.5);
  EXPECT_EQ(hflip("hdf5", (folder / "others.h5").string()), 0.5);
}

}  // namespace
}  // namespace softmoe
