/// Captions of folders, manifests, shards, packages and rendered characters.

#include <gmock/gmock.h>

#include "core/error.h"
#include "datasets/characters/characters.h"
#include "datasets/characters/letter_caption.h"
#include "datasets/image_file.h"
#include "datasets/prompt_templates.h"
#include "datasets/small_sets.h"
#include "datasets/sources.h"
#include "datasets/sources/tar_bytes.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;

class Captions : public testing::Test {
 protected:
  void image(const std::string& name, const std::string& caption = "") {
    write_file(folder_ / (name + ".png"), encode_png(picture(5, 4, name.size())));
    if (!caption.empty()) {
      write_text_file(folder_ / (name + ".txt"), caption);
    }
  }
  std::unique_ptr<Dataset> open(const std::string& source, const std::string& place,
                                const std::string& split = "all", bool captions = true) {
    DatasetOptions options;
    options.dataset = source;
    options.data_dir = (folder_ / place).string();
    options.captions = captions;
    return make_dataset(options, split);
  }

  TemporaryFolder folder_;
};

std::vector<std::string> captions_of(const Dataset& set) {
  std::vector<std::string> captions;
  for (int64_t index = 0; index < set.size(); ++index) {
    captions.push_back(set.caption(index));
  }
  return captions;
}

TEST_F(Captions, OfAFolderStandBesideItsImages) {
  image("a/1", "\n  a red circle \nein roter Kreis\n");
  image("a/2");
  image("b", "two squares");
  const auto set = open("captions", "");
  EXPECT_TRUE(set->has_captions());
  EXPECT_THAT(captions_of(*set), ElementsAre("a red circle", "two squares"));
  EXPECT_EQ(set->label(0), -1);
  EXPECT_TRUE(set->class_names().empty());
  EXPECT_TRUE(set->labels(0).empty());
}

TEST_F(Captions, OfAFolderAreDividedOrHaveFoldersOfSplits) {
  for (int number = 0; number < 12; ++number) {
    image("whole/" + std::to_string(number), "text " + std::to_string(number));
  }
  EXPECT_EQ(open("captions", "whole", "val")->size(), 2);
  EXPECT_EQ(open("captions", "whole", "train")->size(), 10);
  image("parts/train/1", "one");
  image("parts/val/2", "two");
  EXPECT_THAT(captions_of(*open("captions", "parts", "train")), ElementsAre("one"));
  EXPECT_THAT(captions_of(*open("captions", "parts", "test")), ElementsAre("two"));
  image("bare/1");
  EXPECT_THAT(input_error([&] { open("captions", "bare"); }), HasSubstr("1 image without a text"));
}

TEST_F(Captions, OfManifestsHaveAColumn) {
  image("1");
  image("2");
  write_text_file(folder_ / "c.csv", "path,caption\n1.png,\"one, of two\"\n2.png, two \n");
  write_text_file(folder_ / "l.tsv", "path\tlabel\ttext\n1.png\tx\tone\n2.png\ty\ttwo\n");
  write_text_file(folder_ / "j.jsonl", R"({"path": "1.png", "caption": "one"})"
                                       "\n"
                                       R"({"path": "2.png", "caption": "two"})"
                                       "\n");
  const auto captions = open("manifest", "c.csv");
  EXPECT_THAT(captions_of(*captions), ElementsAre("one, of two", "two"));
  EXPECT_TRUE(captions->class_names().empty());
  const auto both = open("manifest", "l.tsv");
  EXPECT_THAT(captions_of(*both), ElementsAre("one", "two"));
  EXPECT_THAT(both->class_names(), ElementsAre("x", "y"));
  EXPECT_FALSE(open("manifest", "l.tsv", "all", /*captions=*/false)->has_captions());
  EXPECT_THAT(captions_of(*open("manifest", "j.jsonl")), ElementsAre("one", "two"));
  DatasetOptions options;
  options.dataset = "manifest";
  options.data_dir = (folder_ / "l.tsv").string();
  options.caption_column = "label";
  EXPECT_THAT(captions_of(*make_dataset(options, "all")), ElementsAre("x", "y"));
}

TEST_F(Captions, OfManifestsThatAreBadAreNamed) {
  image("1");
  const auto message = [&](const std::string& text) {
    write_text_file(folder_ / "m.csv", text);
    return input_error([&] { open("manifest", "m.csv"); });
  };
  EXPECT_THAT(message("path,caption\n1.png,\n"), HasSubstr("m.csv row 2: expected a caption"));
  EXPECT_THAT(message("path,caption\n1.png,a\n1.png,b\n"), HasSubstr("with another caption"));
  EXPECT_THAT(message("path,words\n1.png,a\n"), HasSubstr("--label-column"));
}

TEST_F(Captions, OfShardsAreTextMembers) {
  const auto bytes = [](int seed) {
    const auto png = encode_png(picture(5, 4, static_cast<uint64_t>(seed)));
    return std::string(png.begin(), png.end());
  };
  write_text_file(folder_ / "t.tar", tar_bytes({{"a.png", bytes(1)},
                                                {"a.txt", " one\n"},
                                                {"b.png", bytes(2)},
                                                {"b.json", R"({"caption": "two"})"}}));
  const auto set = open("shards", "t.tar");
  EXPECT_THAT(captions_of(*set), ElementsAre("one", "two"));
  EXPECT_EQ(set->get(1).label, -1);
  EXPECT_THAT(input_error([&] { open("shards", "t.tar", "all", /*captions=*/false); }),
              HasSubstr("a label in a .cls or .json member"));
  write_text_file(folder_ / "both.tar", tar_bytes({{"a.png", bytes(1)},
                                                   {"a.txt", "one"},
                                                   {"a.cls", "0"},
                                                   {"b.png", bytes(2)},
                                                   {"b.cls", "1"}}));
  EXPECT_THAT(input_error([&] { open("shards", "both.tar"); }), HasSubstr("both.tar[b.png]"));
  EXPECT_EQ(open("shards", "both.tar", "all", /*captions=*/false)->label(1), 1);
}

TEST_F(Captions, OfStampsAreTheFirstLinesOfTheirTexts) {
  for (const char* const kind : {"animals", "food"}) {
    for (int number = 0; number < 5; ++number) {
      image(std::string(kind) + "/deep/" + static_cast<char>('a' + number),
            std::string("A picture of ") + kind + ".\nde.utf8=Ein Bild.\n");
    }
    image(std::string(kind) + "/mirrored");
  }
  const auto train = open("stamps", "", "train");
  const auto val = open("stamps", "", "val");
  EXPECT_EQ(train->size() + val->size(), 10);
  EXPECT_EQ(val->size(), 2);
  EXPECT_THAT(train->class_names(), ElementsAre("animals", "food"));
  EXPECT_EQ(val->caption(1), "A picture of food.");
}

TEST(LetterCaption, IsTheNameInUnicode) {
  EXPECT_EQ(letter_caption(U'A'), "Latin capital letter A");
  EXPECT_EQ(letter_caption(U'\u0915'), "Devanagari letter KA");
  EXPECT_EQ(letter_caption(U'7'), "Digit seven");
  EXPECT_EQ(letter_caption(U'\uE000'), "U+E000");
}

TEST(CharactersCaptions, NameTheLetterAndTheStyleOfItsFace) {
  CharacterOptions options;
  options.scripts = {"greek"};
  options.val_images = 60;
  const Characters set(options, SplitKind::kVal);
  EXPECT_TRUE(set.has_captions());
  std::set<std::string> styles;
  for (int64_t index = 0; index < set.size(); ++index) {
    const auto caption = set.caption(index);
    const auto letter = set.class_texts()[static_cast<size_t>(set.get(index).label)];
    ASSERT_TRUE(caption.starts_with(letter)) << caption;
    EXPECT_THAT(caption, MatchesRegex("Greek (capital|small) letter .*"));
    styles.insert(caption.substr(letter.size()));
  }
  EXPECT_TRUE(styles.contains("") && styles.contains(", bold")) << styles.size();
}

TEST(PromptTemplates, AreSentencesWithOnePlace) {
  const auto ours = prompt_templates("default");
  EXPECT_GT(ours.size(), 10U);
  for (const auto& sentence : ours) {
    EXPECT_THAT(filled_template(sentence, "cat"), HasSubstr("cat"));
  }
  const TemporaryFolder folder;
  write_text_file(folder / "t.txt", "a {}.\n\n  the {} \n");
  EXPECT_THAT(prompt_templates((folder / "t.txt").string()), ElementsAre("a {}.", "the {}"));
  write_text_file(folder / "t.txt", "a {}.\nno place\n");
  EXPECT_THAT(input_error([&] { prompt_templates((folder / "t.txt").string()); }),
              HasSubstr("t.txt line 2"));
  write_text_file(folder / "t.txt", "\n");
  EXPECT_THAT(input_error([&] { prompt_templates((folder / "t.txt").string()); }),
              HasSubstr("one per line"));
}

}  // namespace
}  // namespace softmoe::test
