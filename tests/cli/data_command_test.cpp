/// `softmoe data` as a user runs it.

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/tiny.h"
#include "datasets/image_file.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;

nlohmann::json read_json(const std::string& path) {
  return nlohmann::json::parse(read_text_file(path));
}

class DataCommand : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  TemporaryFolder folder_;
};

TEST_F(DataCommand, DescribesBothSplits) {
  const auto run =
      run_program({"data", "describe", "--dataset", "digits", "--json", path("d.json")});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("digits split train: 898 images, 10 classes"));
  EXPECT_THAT(run.output, HasSubstr("height 8 px"));
  const auto splits = read_json(path("d.json"))["splits"];
  ASSERT_EQ(splits.size(), 2);
  EXPECT_EQ(splits[1]["images"], 899);
  EXPECT_EQ(splits[1]["class_images"].size(), 10);
}

TEST_F(DataCommand, InfoIsDescribe) {
  const auto described = run_program({"data", "describe", "--dataset", "digits"});
  const auto info = run_program({"data", "info", "--dataset", "digits", "--json", path("d.json")});
  ASSERT_TRUE(succeeds(info));
  EXPECT_EQ(info.output, described.output);
  EXPECT_EQ(read_json(path("d.json"))["action"], "describe");
}

TEST_F(DataCommand, PacksWhatItThenVerifiesAndReads) {
  ASSERT_TRUE(
      succeeds(run_program({"data", "pack", "--dataset", "digits", "--output", path("packed")})));
  const Words packed = {"--dataset", "hdf5", "--data-dir", path("packed")};
  const auto verified = run_program(Words{"data", "verify"} + packed);
  ASSERT_TRUE(succeeds(verified));
  EXPECT_THAT(verified.output, HasSubstr("split val: 899 images, 0 unreadable"));
  const auto json = path("d.json");
  ASSERT_TRUE(succeeds(run_program(Words{"data", "describe", "--json", json} + packed)));
  const auto from_packed = read_json(json)["splits"];
  ASSERT_TRUE(succeeds(run_program({"data", "describe", "--dataset", "digits", "--json", json})));
  EXPECT_EQ(from_packed, read_json(json)["splits"]);
}

TEST_F(DataCommand, PacksCompressedShards) {
  const auto tar = "cd " + path("") + " && tar -czf s.tar.gz 1.png 1.cls 2.png 2.cls";
  for (const char* name : {"1", "2"}) {
    write_random_png(path(name + std::string(".png")), 6, 7, /*seed=*/1);
    write_text_file(folder_ / (name + std::string(".cls")), name);
  }
  ASSERT_EQ(std::system(tar.c_str()), 0);
  const Words shards = {"--dataset", "shards", "--data-dir", path("s.tar.gz")};
  EXPECT_TRUE(ends_with_one_error(run_program(Words{"data", "info"} + shards), 1,
                                  {"s.tar.gz", "softmoe data pack"}));
  const auto packed = run_program(Words{"data", "pack", path("s.h5")} + shards);
  ASSERT_TRUE(succeeds(packed));
  EXPECT_THAT(packed.output, HasSubstr("2 images"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "s.h5.shards"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "s.h5.part"));
  const auto info = run_program(
      {"data", "info", "--dataset", "hdf5", "--data-dir", path("s.h5"), "--split", "all"});
  EXPECT_THAT(info.output, HasSubstr("2 images, 3 classes"));
}

TEST_F(DataCommand, DescribesAManifest) {
  write_random_png(path("1.png"), 6, 7, /*seed=*/1);
  write_text_file(folder_ / "list.csv", "path,label,split\n1.png,cat,train\n");
  const Words manifest = {"--dataset", "manifest", "--data-dir", path("list.csv")};
  const auto run = run_program(Words{"data", "info"} + manifest);
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output, HasSubstr("1 image, 1 class"));
  write_text_file(folder_ / "list.csv", "path,label\n1.png,cat\n2.png,dog\n");
  EXPECT_TRUE(ends_with_one_error(run_program(Words{"data", "info"} + manifest), 1,
                                  {"list.csv row 3", "2.png"}));
}

TEST_F(DataCommand, VerifyNamesBadImagesAndFails) {
  write_random_png(path("cat-0.png"), 6, 7, /*seed=*/1);
  for (const char* name : {"cat", "dog"}) {
    std::filesystem::create_directories(folder_ / "images" / name);
    std::filesystem::copy(folder_ / "cat-0.png", folder_ / "images" / name / "0.png");
  }
  write_text_file(folder_ / "images" / "dog" / "1.jpg", "no picture");
  const auto run = run_program({"data", "verify", "--data-dir", path("images"), "--split", "all"});
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, HasSubstr("dog/1.jpg"));
  EXPECT_THAT(run.output, HasSubstr("3 images, 1 unreadable"));
  // A third of the images is more than --max-bad-images allows.
  EXPECT_TRUE(ends_with_one_error(
      run_program({"data", "pack", "--data-dir", path("images"), "--output", path("images.h5")}), 1,
      {"--max-bad-images", "dog/1.jpg"}));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "images.h5"));
}

TEST_F(DataCommand, DrawsASheet) {
  ASSERT_TRUE(succeeds(run_program({"data", "sheet", "--dataset", "digits", "--columns", "5",
                                    "--rows", "3", "--tile", "16", "--output", path("s.png")})));
  EXPECT_EQ(load_image(path("s.png")).size(), cv::Size(80, 48));
}

TEST_F(DataCommand, DrawsAugmentedImages) {
  const auto run = run_program({"data", "augment", path("a.png"), "--dataset", "digits",
                                "--input-size", "1", "8", "8", "--aa", "rand-m9-inc1", "--reprob",
                                "0.25", "--columns", "4", "--rows", "3", "--tile", "16"});
  ASSERT_TRUE(succeeds(run));
  EXPECT_THAT(run.output,
              HasSubstr("to_gray|resize(8)|randaug(2,9,inc)|value_range(-1,1)|random_erase(0.25,"));
  EXPECT_EQ(load_image(path("a.png")).size(), cv::Size(64, 48));
  EXPECT_TRUE(fails_with_one_line(
      run_program({"data", "augment", path("b.png"), "--dataset", "digits", "--aa", "rand-m9-q1"}),
      2, {"aa: expected parts that begin with one of m, n, p", "'q1' in 'rand-m9-q1'"}));
  EXPECT_FALSE(std::filesystem::exists(path("b.png")));
}

TEST_F(DataCommand, SaysWhatIsWrong) {
  EXPECT_TRUE(fails_with_one_line(run_program({"data", "fly"}), 2,
                                  {"ACTION: expected one of describe, info, verify", "'fly'"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"data"}), 2, {"ACTION (--action) is missing"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"data", "info", "photos", "--dataset", "digits"}), 2,
                                  {"OUTPUT: data describe writes nothing"}));
  EXPECT_TRUE(
      fails_with_one_line(run_program({"data", "pack", "--dataset", "digits"}), 2, {"--output"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"data", "describe", "--dataset", "nothing"}), 2,
                                  {"--dataset", "'nothing'", "characters"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"data", "describe"}), 2, {"--data-dir"}));
  write_text_file(folder_ / "text.h5", "text");
  EXPECT_TRUE(fails_with_one_line(
      run_program({"data", "verify", "--dataset", "hdf5", "--data-dir", path("text.h5")}), 1,
      {path("text.h5")}));
}

}  // namespace
}  // namespace softmoe::test
