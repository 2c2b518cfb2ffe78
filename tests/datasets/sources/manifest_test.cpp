#include "datasets/sources/manifest.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/log.h"
#include "datasets/image_file.h"
#include "datasets/small_sets.h"
#include "datasets/splits.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// A folder with images 0.png to 9.png, also below `deep/`.
class Manifest : public testing::Test {
 protected:
  Manifest() {
    for (int i = 0; i < 10; ++i) {
      const auto bytes = encode_png(picture(4 + i, 5, static_cast<uint64_t>(i)));
      write_file(folder_ / (std::to_string(i) + ".png"), bytes);
      write_file(folder_ / "deep" / (std::to_string(i) + ".png"), bytes);
    }
  }

  std::unique_ptr<Dataset> open(const std::string& name, const std::string& split = "all",
                                const ManifestColumns& columns = {},
                                const std::string& class_map = "", const SplitChoice& choice = {}) {
    return open_manifest(folder_ / name, split, choice, columns,
                         class_map.empty() ? fs::path() : folder_ / class_map);
  }
  void write(const std::string& name, const std::string& text) {
    write_text_file(folder_ / name, text);
  }
  std::string error_of(const std::string& name, const std::string& text,
                       const ManifestColumns& columns = {}) {
    write(name, text);
    return input_error([&] { open(name, "all", columns); });
  }

  TemporaryFolder folder_;
};

std::vector<std::string> names_and_labels(const Dataset& set) {
  std::vector<std::string> texts;
  for (int64_t index = 0; index < set.size(); ++index) {
    texts.push_back(fs::path(set.sample_name(index)).filename().string() + " " +
                    set.class_names()[static_cast<size_t>(set.label(index))]);
  }
  return texts;
}

TEST_F(Manifest, TablesListImages) {
  write("t.csv", "id,label,path\r\n1,dog,2.png\r\n2,\"cat, big\",deep/../0.png\r\n");
  const auto set = open("t.csv");
  EXPECT_THAT(set->class_names(), ElementsAre("cat, big", "dog"));
  EXPECT_THAT(names_and_labels(*set), ElementsAre("2.png dog", "0.png cat, big"));
  EXPECT_TRUE(same_pixels(set->get(0).image, picture(6, 5, 2)));
  EXPECT_EQ(set->encoded_bytes(1), read_bytes(folder_ / "0.png"));
}

TEST_F(Manifest, IsRelativeToItsFolderOrAbsolute) {
  write("deep/t.tsv", "File_Name\tLabel\n3.png\t1\n" + (folder_ / "4.png").string() + "\t0\n");
  const auto set = open("deep/t.tsv");
  EXPECT_EQ(set->sample_name(0), (folder_ / "deep/3.png").string());
  EXPECT_EQ(set->sample_name(1), (folder_ / "4.png").string());
}

TEST_F(Manifest, JsonLinesListImages) {
  write("t.jsonl",
        "{\"file_name\": \"2.png\", \"label\": 1}\n\n{\"label\": 0, \"file_name\": \"1.png\"}\n");
  EXPECT_THAT(names_and_labels(*open("t.jsonl")), ElementsAre("2.png 1", "1.png 0"));
}

TEST_F(Manifest, TakesTheColumnsThatAreNamed) {
  write("t.csv", "path,label,thumb,kind\n0.png,a,1.png,b\n");
  EXPECT_THAT(names_and_labels(*open("t.csv", "all", {"thumb", "kind"})), ElementsAre("1.png b"));
  EXPECT_THAT(error_of("t.csv", "path,label\n0.png,a\n", {"thumb", ""}),
              AllOf(HasSubstr("'thumb'"), HasSubstr("--path-column"), HasSubstr("path, label")));
  EXPECT_THAT(error_of("t.csv", "path,text\n0.png,a\n"),
              AllOf(HasSubstr("t.csv"), HasSubstr("--label-column"), HasSubstr("path, text")));
}

TEST_F(Manifest, UsesAClassMap) {
  write("map.txt", "zebra\nape\n");
  write("t.csv", "path,label\n0.png,1\n1.png,zebra\n");
  EXPECT_THAT(names_and_labels(*open("t.csv", "all", {}, "map.txt")),
              ElementsAre("0.png ape", "1.png zebra"));
}

TEST_F(Manifest, OfAFolderIsOnePerSplit) {
  write("train.csv", "path,label\n0.png,a\n1.png,b\n2.png,c\n3.png,b\n");
  EXPECT_EQ(open("", "train")->size(), 3);  // one is held out
  EXPECT_THAT(names_and_labels(*open("", "val")), ElementsAre("3.png b"));
  write("test.jsonl", "{\"path\": \"5.png\", \"label\": \"c\"}\n");
  EXPECT_EQ(open("", "train")->size(), 4);
  const auto val = open("", "val");
  EXPECT_THAT(val->class_names(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(names_and_labels(*val), ElementsAre("5.png c"));
  EXPECT_EQ(open("", "all")->size(), 5);
  write("mine.csv", "path,label\n6.png,b\n");
  const SplitChoice choice{"train", "mine.csv"};
  EXPECT_THAT(names_and_labels(*open("", "mine.csv", {}, "", choice)), ElementsAre("6.png b"));
  EXPECT_THROW(open("", "fold3"), MissingSplit);
}

TEST_F(Manifest, IsAsHuggingFaceWritesIt) {
  write("train/metadata.csv", "file_name,label\n../0.png,a\n../1.png,b\n");
  write("validation/metadata.jsonl", "{\"file_name\": \"../2.png\", \"label\": \"b\"}\n");
  EXPECT_EQ(open("", "train")->size(), 2);
  EXPECT_THAT(names_and_labels(*open("", "val")), ElementsAre("2.png b"));
}

TEST_F(Manifest, WithoutSplitsIsDivided) {
  write("metadata.csv", "file_name,label\n0.png,a\n1.png,a\n2.png,b\n");
  for (const auto* name : {"", "metadata.csv"}) {
    EXPECT_THAT(names_and_labels(*open(name, "train")), ElementsAre("0.png a", "2.png b"));
    EXPECT_THAT(names_and_labels(*open(name, "val")), ElementsAre("1.png a"));
  }
}

TEST_F(Manifest, IsDividedByItsColumn) {
  write("t.csv", "path,label,split\n0.png,a,train\n1.png,b,test\n2.png,b,train\n");
  EXPECT_THAT(names_and_labels(*open("t.csv", "train")), ElementsAre("0.png a", "2.png b"));
  EXPECT_THAT(names_and_labels(*open("t.csv", "val")), ElementsAre("1.png b"));
  EXPECT_EQ(open("t.csv", "all")->size(), 3);
  EXPECT_THAT(error_of("u.csv", "path,label,split\n0.png,a,train\n1.png,z,test\n"),
              AllOf(HasSubstr("u.csv row 3"), HasSubstr("'z'")));
  write("v.csv", "path,label,split\n0.png,a,fold1\n");
  EXPECT_THAT(input_error([&] { open("v.csv", "train"); }),
              AllOf(HasSubstr("v.csv row 2"), HasSubstr("fold1")));
  write("w.csv", "path,label,split\n0.png,a,train\n");
  EXPECT_THROW(open("w.csv", "val"), MissingSplit);
}

TEST_F(Manifest, ErrorsNameTheRow) {
  EXPECT_THAT(error_of("t.csv", "path,label\n0.png,a\nno.png,a\nnone.png,a\n"),
              AllOf(HasSubstr("t.csv row 3"), HasSubstr("no.png"), HasSubstr("1 more")));
  EXPECT_THAT(error_of("t.csv", "path,label\n0.png,a\n1.png,b\n./0.png,b\n"),
              AllOf(HasSubstr("t.csv row 4"), HasSubstr("t.csv row 2"), HasSubstr("'a'")));
  EXPECT_THAT(error_of("t.csv", "path,label\n0.png,a,x\n"), HasSubstr("t.csv row 2"));
  EXPECT_THAT(error_of("t.csv", "path,label\n0.png,a\n,b\n"), HasSubstr("t.csv row 3"));
  EXPECT_THAT(error_of("t.csv", "path,label\n0.png,\n"), HasSubstr("no label"));
  EXPECT_THAT(error_of("t.csv", ""), HasSubstr("header"));
  EXPECT_THAT(error_of("t.csv", "path,label\n"), HasSubstr("t.csv"));
  EXPECT_THAT(error_of("t.jsonl", "{\"path\": \"0.png\", \"label\": 1}\nx\n"),
              HasSubstr("t.jsonl row 2"));
  EXPECT_THAT(error_of("t.jsonl", "[1]\n"), HasSubstr("t.jsonl row 1"));
  EXPECT_THAT(error_of("t.jsonl", "{\"path\": \"0.png\", \"label\": [1, 2]}\n"),
              AllOf(HasSubstr("t.jsonl row 1"), HasSubstr("'label'"),
                    HasSubstr("a list: each image has one label, unless --multi-label")));
  EXPECT_THAT(error_of("t.txt", "x"), HasSubstr(".jsonl"));
  write("train.csv", "path,label\n0.png,a\n1.png,b\n");
  write("val.csv", "path,label\n2.png,a\n3.png,c\n");
  EXPECT_THAT(
      input_error([&] { open("", "val"); }),
      AllOf(HasSubstr("val.csv row 3"), HasSubstr("the training images (a, b)"), HasSubstr("'c'")));
}

TEST_F(Manifest, TakesEqualRowsOnceAndSaysSo) {
  write("t.csv", "path,label\n0.png,a\n1.png,a\n0.png,a\n./1.png,a\n");
  std::string log;
  const auto previous = set_log_sink([&](const std::string& line) { log += line + "\n"; });
  EXPECT_EQ(open("t.csv")->size(), 2);
  set_log_sink(previous);
  EXPECT_THAT(log, AllOf(HasSubstr("2 images of 1 class"), HasSubstr("2 rows repeat an image"),
                         HasSubstr("t.csv row 4")));
}

class MultiLabelManifest : public Manifest {
 protected:
  std::vector<std::vector<int64_t>> labels_of(const std::string& name, const std::string& separator,
                                              const std::string& split = "all") {
    set_ = open(name, split,
                {.path = {}, .label = {}, .labels = {.multi_label = true, .separator = separator}});
    EXPECT_TRUE(set_->is_multi_label());
    std::vector<std::vector<int64_t>> labels;
    for (int64_t index = 0; index < set_->size(); ++index) {
      EXPECT_EQ(set_->label(index), -1);
      labels.push_back(set_->labels(index));
    }
    return labels;
  }

  std::unique_ptr<Dataset> set_;
};

TEST_F(MultiLabelManifest, TablesSeparateLabels) {
  write("t.csv", "path,label\n0.png,dog; cat\n1.png,\n2.png,cat\n3.png,ox;cat;ox\n");
  using Labels = std::vector<std::vector<int64_t>>;
  EXPECT_EQ(labels_of("t.csv", ";"), (Labels{{0, 1}, {}, {0}, {0, 2}}));
  EXPECT_THAT(set_->class_names(), ElementsAre("cat", "dog", "ox"));
  write("u.tsv", "path\tlabel\n0.png\t2 || 0\n1.png\t3\n");
  EXPECT_EQ(labels_of("u.tsv", "||"), (Labels{{0, 2}, {3}}));
  EXPECT_THAT(set_->class_names(), ElementsAre("0", "1", "2", "3"));
}

TEST_F(MultiLabelManifest, JsonHasLists) {
  write("t.jsonl",
        "{\"path\":\"0.png\",\"label\":[\"dog\",\"cat\"],\"split\":\"train\"}\n"
        "{\"path\":\"1.png\",\"label\":[],\"split\":\"val\"}\n"
        "{\"path\":\"2.png\",\"label\":\"cat;dog\",\"split\":\"val\"}\n"
        "{\"path\":\"2.png\",\"label\":[\"cat\",\"dog\"],\"split\":\"val\"}\n");
  using Labels = std::vector<std::vector<int64_t>>;
  EXPECT_EQ(labels_of("t.jsonl", ";", "val"), (Labels{{}, {0, 1}}));
  const ManifestColumns several{.path = {}, .label = {}, .labels = {.multi_label = true}};
  EXPECT_THAT(error_of("u.jsonl", "{\"path\":\"0.png\",\"label\":[\"a\",[1]]}\n", several),
              AllOf(HasSubstr("u.jsonl row 1"), HasSubstr("a text or an integer")));
  EXPECT_THAT(error_of("u.jsonl",
                       "{\"path\":\"0.png\",\"label\":[\"a\"]}\n"
                       "{\"path\":\"0.png\",\"label\":[\"a\",\"b\"]}\n",
                       several),
              HasSubstr("with label 'a' there and 'a', 'b' here"));
}

TEST_F(MultiLabelManifest, HoldsOutImagesOfTheFirstLabel) {
  std::string text = "path,label\n";
  for (int i = 0; i < 10; ++i) {
    text += std::to_string(i) + ".png," + (i < 5 ? "a;b" : "") + "\n";
  }
  write("t.csv", text);
  using Labels = std::vector<std::vector<int64_t>>;
  EXPECT_EQ(labels_of("t.csv", ";", "val"), (Labels{{0, 1}, {}}));
}

}  // namespace
}  // namespace softmoe::test
