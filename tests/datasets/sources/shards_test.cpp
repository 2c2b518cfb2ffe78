#include "datasets/sources/shards.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/loader.h"
#include "datasets/small_sets.h"
#include "datasets/sources/packed.h"
#include "datasets/sources/packed_writer.h"
#include "datasets/sources/tar_bytes.h"
#include "datasets/splits.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {

static void PrintTo(TarStyle style, std::ostream* out) {
  *out << (style == TarStyle::kUstar ? "Ustar" : style == TarStyle::kGnu ? "Gnu" : "Pax");
}

namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Members = std::vector<std::pair<std::string, std::string>>;

std::string text_of_bytes(const std::vector<uint8_t>& bytes) {
  return {bytes.begin(), bytes.end()};
}

std::string jpeg(int seed) {
  return text_of_bytes(jpeg_bytes(picture(20 + seed, 31 - seed, static_cast<uint64_t>(seed))));
}

std::string png(int seed) {
  return text_of_bytes(encode_png(picture(9 + seed, 8, static_cast<uint64_t>(seed))));
}

/// Samples `first` to `first` + 2 with labels 0, 1, 0, ...
Members samples(int first) {
  Members members;
  for (int i = first; i < first + 3; ++i) {
    const auto key = "a/" + std::to_string(i);
    members.emplace_back(key + ".jpg", jpeg(i));
    members.emplace_back(key + ".cls", std::to_string(i % 2) + "\n");
  }
  return members;
}

std::unique_ptr<Dataset> open(const fs::path& location, const std::string& split = "all",
                              const ShardOptions& options = {}, const SplitChoice& choice = {}) {
  return open_shards(location.string(), split, choice, options);
}

std::vector<int64_t> labels_of(const Dataset& set) {
  std::vector<int64_t> labels;
  for (int64_t index = 0; index < set.size(); ++index) {
    labels.push_back(set.label(index));
  }
  return labels;
}

class ShardsOfStyle : public testing::TestWithParam<TarStyle> {};

TEST_P(ShardsOfStyle, GiveTheirMembersInAnyOrder) {
  const TemporaryFolder folder;
  auto members = samples(0);
  members.emplace_back("b/pic.PNG", png(7));
  members.emplace_back("b/pic.cls", "2");
  members.emplace_back("b/pic.txt", std::string(1500, 'x'));  // other bytes between samples
  write_text_file(folder / "x-00.tar", tar_bytes(members, GetParam()));
  write_text_file(folder / "x-01.tar", tar_bytes(samples(3), GetParam()));
  const auto set = open(folder / "x-{00..01}.tar");
  ASSERT_EQ(set->size(), 7);
  EXPECT_THAT(set->class_names(), ElementsAre("0", "1", "2"));
  EXPECT_THAT(labels_of(*set), ElementsAre(0, 1, 0, 2, 1, 0, 1));
  EXPECT_EQ(text_of_bytes(*set->encoded_bytes(5)), jpeg(4));
  EXPECT_EQ(text_of_bytes(*set->encoded_bytes(3)), png(7));
  EXPECT_EQ(text_of_bytes(*set->encoded_bytes(0)), jpeg(0));
  EXPECT_EQ(set->sample_name(5), (folder / "x-01.tar").string() + "[a/4.jpg]");
  const auto sample = set->get(3);
  EXPECT_EQ(sample.label, 2);
  EXPECT_TRUE(same_pixels(sample.image, picture(16, 8, 7)));
}

INSTANTIATE_TEST_SUITE_P(Tar, ShardsOfStyle,
                         testing::Values(TarStyle::kUstar, TarStyle::kGnu, TarStyle::kPax),
                         testing::PrintToStringParamName());

TEST(Shards, TakeLongNames) {
  const TemporaryFolder folder;
  const std::string key = std::string(300, 'k') + "/" + std::string(150, 'n');
  for (const auto style : {TarStyle::kGnu, TarStyle::kPax}) {
    write_text_file(folder / "x.tar",
                    tar_bytes({{key + ".jpg", jpeg(1)}, {key + ".cls", "cat"}}, style));
    const auto set = open(folder / "x.tar");
    EXPECT_THAT(set->sample_name(0), HasSubstr(key + ".jpg"));
    EXPECT_EQ(text_of_bytes(*set->encoded_bytes(0)), jpeg(1));
  }
}

TEST(Shards, TakeLabelsByNameAndFromJson) {
  const TemporaryFolder folder;
  write_text_file(folder / "n.tar", tar_bytes({{"1.jpg", jpeg(1)},
                                               {"1.cls", "dog"},
                                               {"2.jpg", jpeg(2)},
                                               {"2.json", R"({"id": 5, "label": "cat"})"}}));
  const auto named = open(folder / "n.tar");
  EXPECT_THAT(named->class_names(), ElementsAre("cat", "dog"));
  EXPECT_THAT(labels_of(*named), ElementsAre(1, 0));
  write_text_file(
      folder / "j.tar",
      tar_bytes({{"1.jpg", jpeg(1)}, {"1.cls", "0"}, {"1.json", R"({"label": 1, "kind": 3})"}}));
  EXPECT_THAT(labels_of(*open(folder / "j.tar")), ElementsAre(0));
  EXPECT_THAT(labels_of(*open(folder / "j.tar", "all", {.label_key = "kind"})), ElementsAre(3));
}

TEST(Shards, NameClassesByAFile) {
  const TemporaryFolder folder;
  write_text_file(
      folder / "x.tar",
      tar_bytes({{"1.jpg", jpeg(1)}, {"1.cls", "2"}, {"2.jpg", jpeg(2)}, {"2.cls", "cat"}}));
  write_text_file(folder / "classes.txt", "bird\ncat\ndog\n");
  const auto set = open(folder / "x.tar", "all", {.class_map = folder / "classes.txt"});
  EXPECT_THAT(set->class_names(), ElementsAre("bird", "cat", "dog"));
  EXPECT_THAT(labels_of(*set), ElementsAre(2, 1));
  write_text_file(folder / "short.txt", "bird\ncat\n");
  EXPECT_THAT(
      input_error([&] { open(folder / "x.tar", "all", {.class_map = folder / "short.txt"}); }),
      AllOf(HasSubstr("x.tar[1.jpg]: label"), HasSubstr("short.txt"), HasSubstr("'2'")));
}

TEST(Shards, OfAFolderAreDividedByTheirNames) {
  const TemporaryFolder folder;
  write_text_file(folder / "set-train-0.tar", tar_bytes(samples(0)));
  write_text_file(folder / "set-train-1.tar", tar_bytes(samples(3)));
  EXPECT_EQ(open(folder.path(), "train")->size(), 4);  // one of each class is held out
  EXPECT_EQ(open(folder.path(), "val")->size(), 2);
  write_text_file(folder / "val0.tar", tar_bytes({{"v.jpg", jpeg(1)}, {"v.cls", "0"}}));
  EXPECT_EQ(open(folder.path(), "train")->size(), 6);
  const auto val = open(folder.path(), "val");
  EXPECT_EQ(val->size(), 1);
  EXPECT_THAT(val->class_names(), ElementsAre("0", "1"));  // those of the training images
  EXPECT_EQ(open(folder.path(), "all")->size(), 7);
  const SplitChoice choice{"set-train-{0..0}.tar", "set-train-1.tar"};
  EXPECT_EQ(open(folder.path(), choice.train, {}, choice)->size(), 3);
  EXPECT_EQ(open(folder.path(), choice.val, {}, choice)->sample_name(0),
            (folder / "set-train-1.tar").string() + "[a/3.jpg]");
}

TEST(Shards, GiveEqualBatchesForAnyNumberOfWorkers) {
  const TemporaryFolder folder;
  for (int shard = 0; shard < 4; ++shard) {
    write_text_file(folder / ("s" + std::to_string(shard) + ".tar"), tar_bytes(samples(3 * shard)));
  }
  const auto set = open(folder / "s{0..3}.tar");
  PreprocessOptions preprocess;
  preprocess.input_size = {3, 65, 65};
  std::vector<std::vector<Batch>> runs;
  for (const int64_t workers : {0, 3}) {
    LoaderOptions options;
    options.batch_size = 5;
    options.workers = workers;
    options.shuffle = true;
    Loader loader(*set, Transform::training(preprocess), options);
    loader.start(2);
    auto& batches = runs.emplace_back();
    while (auto batch = loader.next()) {
      batches.push_back(std::move(*batch));
    }
  }
  ASSERT_EQ(runs[0].size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(same_bits(runs[0][i].images, runs[1][i].images));
    EXPECT_TRUE(same_bits(runs[0][i].indices, runs[1][i].indices));
  }
}

TEST(Shards, ThatAreStreamsAreRefusedWithAdvice) {
  const TemporaryFolder folder;
  const auto tar = tar_bytes(samples(0));
  write_file(folder / "x.tar.gz", gzipped({tar.begin(), tar.end()}));
  for (const auto& location :
       {(folder / "x.tar.gz").string(), "pipe:cat " + (folder / "x.tar").string()}) {
    EXPECT_THAT(input_error([&] { open_shards(location, "all", {}, {}); }),
                AllOf(HasSubstr(location), HasSubstr("softmoe data pack")));
  }
}

TEST(Shards, ThatAreStreamsAreCopiedOnce) {
  const TemporaryFolder folder;
  const auto tar = tar_bytes(samples(0));
  write_file(folder / "x0.tar.gz", gzipped({tar.begin(), tar.end()}));
  write_text_file(folder / "y.tar", tar);
  const ShardOptions options{.copies = folder / "copies"};
  const auto count_file = (folder / "count").string();
  const auto pipe = "pipe:echo x >> " + count_file + "; cat " + (folder / "y.tar").string();
  for (const auto& location : {(folder / "x{0..0}.tar.gz").string(), pipe}) {
    for (int times = 0; times < 2; ++times) {
      const auto set = open_shards(location, "all", {}, options);
      ASSERT_EQ(set->size(), 3);
      EXPECT_EQ(text_of_bytes(*set->encoded_bytes(2)), jpeg(2));
      EXPECT_THAT(set->sample_name(2), HasSubstr("[a/2.jpg]"));
    }
  }
  EXPECT_EQ(read_text_file(count_file), "x\n");
  EXPECT_THAT(input_error([&] { open_shards("pipe:exit 3", "all", {}, options); }),
              AllOf(HasSubstr("pipe:exit 3"), HasSubstr("status 3")));
  write_file(folder / "cut.tar.gz", cut(gzipped({tar.begin(), tar.end()}), 40));
  EXPECT_THAT(
      input_error([&] { open_shards((folder / "cut.tar.gz").string(), "all", {}, options); }),
      HasSubstr("cut.tar.gz"));
}

TEST(Shards, NameWhatIsWrong) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& bytes) {
    write_text_file(folder / "x.tar", bytes);
    return input_error([&] { open(folder / "x.tar"); });
  };
  EXPECT_THAT(error_of(tar_bytes({{"k.jpg", jpeg(1)}})),
              AllOf(HasSubstr("x.tar[k]"), HasSubstr("label"), HasSubstr("none")));
  EXPECT_THAT(error_of(tar_bytes({{"k.jpg", jpeg(1)}, {"k.png", png(1)}, {"k.cls", "1"}})),
              AllOf(HasSubstr("x.tar[k]"), HasSubstr("k.jpg and k.png")));
  EXPECT_THAT(error_of(tar_bytes({{"k.cls", "1"}, {"k.cls", "1"}})), HasSubstr("twice"));
  EXPECT_THAT(error_of(tar_bytes({{"k.jpg", jpeg(1)}, {"k.json", "{]"}})),
              HasSubstr("x.tar[k.json]"));
  EXPECT_THAT(error_of(tar_bytes({{"k.cls", "1"}})), HasSubstr("images"));
  const auto whole = tar_bytes(samples(0));
  EXPECT_THAT(error_of(whole.substr(0, 700)), AllOf(HasSubstr("x.tar"), HasSubstr("damaged")));
  EXPECT_THAT(error_of("no tar file at all"), HasSubstr("x.tar"));
  EXPECT_THAT(input_error([&] { open(folder / "y-{0..3}.tar"); }),
              AllOf(HasSubstr("y-0.tar"), HasSubstr("no such file")));
  EXPECT_THAT(input_error([&] { open(folder / "y-{3..0}.tar"); }), HasSubstr("{3..0}"));
}

TEST(Shards, LeaveOutSamplesWithoutImagesAndNotes) {
  const TemporaryFolder folder;
  auto members = samples(0);
  members.insert(members.begin(), {{"__meta__.json", "{}"}, {"a/.hidden.cls", "9"}});
  members.emplace_back("text.txt", "only text");
  write_text_file(folder / "x.tar", tar_bytes(members));
  std::string log;
  const auto previous = set_log_sink([&](const std::string& line) { log += line + "\n"; });
  const auto set = open(folder / "x.tar");
  set_log_sink(previous);
  EXPECT_EQ(set->size(), 3);
  EXPECT_THAT(log, HasSubstr("x.tar: 3 images of 2 classes; left out: 1 sample without an image"));
}

TEST(Shards, PackAsTheyAre) {
  const TemporaryFolder folder;
  write_text_file(folder / "x.tar", tar_bytes(samples(0)));
  const auto set = open(folder / "x.tar");
  pack_dataset(*set, folder / "x.h5", "all", {.workers = 2});
  const auto packed = open_packed(folder / "x.h5", "all");
  for (int64_t index = 0; index < 3; ++index) {
    EXPECT_EQ(packed->encoded_bytes(index), set->encoded_bytes(index));
    EXPECT_EQ(packed->label(index), set->label(index));
  }
}

TEST(Shards, HaveAnyNumberOfLabelsIfAsked) {
  const TemporaryFolder folder;
  write_text_file(folder / "s.tar", tar_bytes({{"a.png", png(0)},
                                               {"a.json", "{\"label\":[\"dog\",\"cat\"]}"},
                                               {"b.png", png(1)},
                                               {"b.cls", "cat; ox\n"},
                                               {"c.png", png(2)},
                                               {"c.json", "{\"label\":[]}"}}));
  const auto set = open(folder / "s.tar", "all", {.labels = {.multi_label = true}});
  EXPECT_TRUE(set->is_multi_label());
  EXPECT_THAT(set->class_names(), ElementsAre("cat", "dog", "ox"));
  EXPECT_THAT(set->labels(0), ElementsAre(0, 1));
  EXPECT_THAT(set->labels(1), ElementsAre(0, 2));
  EXPECT_TRUE(set->labels(2).empty());
  EXPECT_THAT(input_error([&] { open(folder / "s.tar"); }),
              AllOf(HasSubstr("a.json"), HasSubstr("unless --multi-label is given")));
}

}  // namespace
}  // namespace softmoe::test
