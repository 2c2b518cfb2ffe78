/// Flags, lists, arguments without flags, and `--help`.

#include "cli/command_line.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "support/run_program.h"
#include "support/temporary_folder.h"

namespace softmoe::cli {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::ThrowsMessage;

using Words = std::vector<std::string>;

struct SomeOptions {
  std::vector<int64_t> blocks;
  std::vector<std::string> files;
  std::vector<std::string> names;
  std::vector<std::string> kinds;
  std::vector<double> mean{0.5};
  bool smooth = false;
  int64_t tile_size = 104;
  std::string output = "maps";
  int64_t num_classes = 7;
};

void describe(OptionTable& table, SomeOptions& options) {
  table.add("blocks", options.blocks, "blocks to look at; empty: all", {.unit = "px", .min = 0});
  table.add("files", options.files, "files to read", {.unit = "file"});
  table.add("names", options.names, "names of models");
  table.add("kinds", options.kinds, "kinds to show", {.choices = {"dense", "sparse"}});
  table.add("mean", options.mean, "mean of the pixels");
  table.add("smooth", options.smooth, "interpolate the maps");
  table.add("tile-size", options.tile_size, "longer side of one map", {.unit = "px", .min = 16});
  table.add("output", options.output, "where maps go", {.unit = "folder"});
  table.add("num-classes", options.num_classes, "classes of the head",
            {.follows = "as the data set has"});
}

/// A command with those options, which takes names of images if `takes_names`.
class SomeCommand {
 public:
  explicit SomeCommand(bool takes_names = false) {
    line.add("Maps", options);
    if (takes_names) {
      line.add_names({.name = "IMAGE", .meaning = "image files"}, names);
    }
  }

  SomeOptions options;
  Words names;
  CommandLine line{"paint", "Paints maps of many images."};
};

TEST(ListFlags, TakeWordsAndCommas) {
  for (const auto& given :
       {Words{"--blocks", "3", "5", "8"}, Words{"--blocks", "3,5,8"}, Words{"--blocks", "3,5", "8"},
        Words{"--blocks=3,5,8"}, Words{"--blocks", "1", "--smooth", "--blocks", "3", "5", "8"}}) {
    SomeCommand command;
    ASSERT_TRUE(command.line.parse(given));
    EXPECT_THAT(command.options.blocks, ElementsAre(3, 5, 8));
  }
}

TEST(ListFlags, LeaveTheFilesBehindThemAlone) {
  for (const auto& given :
       {Words{"--blocks", "3", "5", "a.png", "7.png"},
        Words{"a.png", "7.png", "--blocks", "3", "5"}, Words{"a.png", "--blocks", "3,5", "7.png"},
        Words{"--blocks", "3,5", "--kinds", "dense", "a.png", "7.png"},
        Words{"--blocks=3,5", "--", "a.png", "7.png"}}) {
    SomeCommand command(/*takes_names=*/true);
    ASSERT_TRUE(command.line.parse(given));
    EXPECT_THAT(command.options.blocks, ElementsAre(3, 5));
    EXPECT_THAT(command.names, ElementsAre("a.png", "7.png"));
  }
}

TEST(ListFlags, OfNamesAreSeparatedAtCommasAndOtherTextsAreNot) {
  SomeCommand command;
  ASSERT_TRUE(
      command.line.parse({"--names", "vit_s16,vit_b16", "seed=1,2", "a{1,2}", "Soft, MoE"}));
  EXPECT_THAT(command.options.names,
              ElementsAre("vit_s16", "vit_b16", "seed=1,2", "a{1,2}", "Soft, MoE"));
}

TEST(ListFlags, OfFilesKeepTheirCommas) {
  SomeCommand command;
  ASSERT_TRUE(command.line.parse({"--files", "a,b.npz", "c.npz", "--mean", "-0.5", ".25"}));
  EXPECT_THAT(command.options.files, ElementsAre("a,b.npz", "c.npz"));
  EXPECT_THAT(command.options.mean, ElementsAre(-0.5, 0.25));
}

TEST(ListFlags, NameWhatIsNoItem) {
  const auto parse = [](const Words& words) {
    SomeCommand(/*takes_names=*/true).line.parse(words);
  };
  EXPECT_THAT(
      [&] {
        parse({"--blocks", "a.png"});
      },
      ThrowsMessage<UsageError>("--blocks: expected an integer, found 'a.png'"));
  EXPECT_THAT(
      [&] {
        parse({"a.png", "--blocks"});
      },
      ThrowsMessage<UsageError>("--blocks: expected at least one value, found none"));
  EXPECT_THAT(
      [&] {
        parse({"--blocks", "3,", "a.png"});
      },
      ThrowsMessage<UsageError>("--blocks: expected an integer, found ''"));
  EXPECT_THAT(
      [&] {
        parse({"--kinds", "dense,thick"});
      },
      ThrowsMessage<UsageError>("--kinds: expected one of dense, sparse, found 'thick'"));
}

TEST(ListFlags, GoOverThoseOfAConfigFile) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "a.toml", "blocks = [1, 2]\nmean = [0.1, 0.2, 0.3]\n");
  SomeCommand command;
  ASSERT_TRUE(command.line.parse({"--config", (folder / "a.toml").string(), "--blocks", "4"}));
  EXPECT_THAT(command.options.blocks, ElementsAre(4));
  EXPECT_THAT(command.options.mean, ElementsAre(0.1, 0.2, 0.3));
}

TEST(CommandLine, TakesTheShortFormOfAFlag) {
  SomeCommand command;
  ASSERT_TRUE(command.line.parse({"--classes", "12", "--no-smooth"}));
  EXPECT_EQ(command.options.num_classes, 12);
  EXPECT_TRUE(command.line.given("num-classes"));
}

TEST(CommandLine, OverridesHaveNoValueUntilTheyAreGiven) {
  SomeOptions ignored;
  CommandLine line("paint", "Paints.");
  line.add_overrides("Parts of every map", ignored);
  EXPECT_THAT(line.help(100), Not(HasSubstr("[104 px]")));
  ASSERT_TRUE(line.parse({"--tile-size", "32", "--blocks", "2"}));
  EXPECT_EQ(line.resolved().at("tile-size"), 32);
  EXPECT_FALSE(line.resolved().contains("output"));
  EXPECT_THAT(line.resolved_config(), Not(HasSubstr("output")));
  SomeOptions changed;
  changed.output = "mine";
  line.apply(changed);
  EXPECT_EQ(changed.tile_size, 32);
  EXPECT_EQ(changed.output, "mine");
}

TEST(CommandLine, DerivedOptionsHaveValuesAndShowNoDefaults) {
  SomeOptions options;
  CommandLine line("paint", "Paints.");
  line.add_derived("Parts of the map", options);
  EXPECT_THAT(line.help(100), HasSubstr("longer side of one map (at least 16) [px]\n"));
  ASSERT_TRUE(line.parse({"--tile-size", "32"}));
  options.output = "taken from elsewhere";
  EXPECT_EQ(line.resolved().at("output"), "taken from elsewhere");
  EXPECT_EQ(line.resolved().at("tile-size"), 32);
}

TEST(Help, ShowsFlagsDefaultsUnitsAndRanges) {
  const SomeCommand command(/*takes_names=*/true);
  const auto help = command.line.help(100);
  for (const auto* text :
       {"usage: softmoe paint [IMAGE ...] [OPTIONS]\n\nPaints maps of many images.\n",
        "\n  IMAGE                         image files\n", "\nMaps:\n",
        "\n  --blocks INT ...              blocks to look at; empty: all [px]\n",
        "\n  --files FILE ...              files to read\n",
        "\n  --kinds NAME ...              kinds to show (one of dense, sparse)\n",
        "\n  --mean FLOAT ...              mean of the pixels [0.5]\n",
        "\n  --smooth, --no-smooth         interpolate the maps [off]\n",
        "\n  --tile-size INT               longer side of one map (at least 16) [104 px]\n",
        "\n  --output FOLDER               where maps go [maps]\n",
        "\n  --num-classes, --classes INT  classes of the head [as the data set has]\n",
        "\n  --json FILE                   write the result to this file as JSON\n",
        "\n  -h, --help                    show this help\n"}) {
    EXPECT_THAT(help, HasSubstr(text));
  }
  EXPECT_LT(help.find("\nMaps:\n"), help.find("\nGeneral:\n"));
}

TEST(Help, BreaksLinesAtTheWidth) {
  const SomeCommand command(/*takes_names=*/true);
  for (const size_t width : {60U, 72U, 100U}) {
    EXPECT_THAT(split_text(command.line.help(width), '\n'), Each(SizeIs(testing::Le(width))))
        << width;
  }
}

TEST(Help, OfEveryCommandFitsThePage) {
  for (const auto* name : {"train", "finetune", "launch", "eval", "fewshot", "knn", "probe", "predict",
                           "inspect", "benchmark", "models", "data", "report"}) {
    const auto run = test::run_program({name, "--help"});
    EXPECT_EQ(run.exit_code, 0) << name;
    EXPECT_THAT(run.output, HasSubstr(std::string("usage: softmoe ") + name));
    EXPECT_THAT(run.output, Not(HasSubstr("{false}")));
    for (const auto& line : split_text(run.output, '\n')) {
      EXPECT_LE(line.size(), 100U) << name << ": " << line;
      EXPECT_THAT(line, Not(testing::EndsWith(" "))) << name << ": " << line;
    }
  }
}

TEST(CommandLine, WritesNamesThatAreNotUtf8) {
  const test::TemporaryFolder folder;
  const auto json = (folder / "result.json").string();
  CommandLine line("paint", "Paints.");
  SomeOptions options;
  line.add("Maps", options);
  ASSERT_TRUE(line.parse({"--json", json, "--output", "caf\xe9", "--files", "\xff.png"}));
  EXPECT_EQ(options.output, "caf\xe9");
  line.write_json({{"image", "caf\xe9/1.png"}});
  const auto written = Json::parse(read_text_file(json));
  EXPECT_EQ(written.at("image"), "caf\uFFFD/1.png");
  EXPECT_EQ(written.at("options").at("output"), "caf\uFFFD");
  EXPECT_EQ(written.at("options").at("files"), Json{"\uFFFD.png"});
  write_text_file(folder / "a.toml", line.resolved_config());
  SomeOptions again;
  CommandLine second("paint", "Paints.");
  second.add("Maps", again);
  ASSERT_TRUE(second.parse({"--config", (folder / "a.toml").string()}));
  EXPECT_EQ(option_table(again).to_config(), option_table(options).to_config());
}

TEST(CommandLine, ReadsBackEveryText) {
  const test::TemporaryFolder folder;
  const auto config = (folder / "a #1.toml").string();
  for (const auto* text :
       {"run #2", "it's", "a \"b\"", "back\\slash", "two\nlines", "\t", "[x]", "{y}", "a = 1", "#",
        "\u00e4", "\xff\xfe", " blank ", "true", "12", "''"}) {
    CommandLine line("paint", "Paints.");
    SomeOptions options;
    line.add("Maps", options);
    ASSERT_TRUE(line.parse({"--output", text, "--files", text, "b"})) << text;
    write_text_file(config, line.resolved_config());
    SomeOptions again;
    CommandLine second("paint", "Paints.");
    second.add("Maps", again);
    ASSERT_TRUE(second.parse({"--config", config})) << text;
    EXPECT_EQ(again.output, text);
    EXPECT_THAT(again.files, ElementsAre(text, "b"));
  }
}

TEST(CommandLine, NamesTheLineOfAConfigFile) {
  const test::TemporaryFolder folder;
  const auto config = (folder / "a.toml").string();
  const auto expect_refused = [&config](const std::string& text, const std::string& expected) {
    write_text_file(config, text);
    SomeCommand command;
    EXPECT_THAT(
        [&] {
          command.line.parse({"--config", config});
        },
        ThrowsMessage<UsageError>(HasSubstr(config + ": line 2: " + expected)));
  };
  expect_refused("\ntile-sise = 3", "unknown option 'tile-sise', did you mean tile-size?");
  expect_refused("\ntile-size = \"a\"", "tile-size: expected int, found \"a\"");
  expect_refused("\ntile-size = 2", "tile-size: expected at least 16, found 2");
  expect_refused("\n[General]\nthreads = 1", "unknown option 'General'");
  expect_refused("\nblocks = [1, true]", "blocks: expected int, found true");
}

TEST(CommandLine, ChecksTheFileOfTheResultFirst) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "file", "");
  SomeCommand command;
  EXPECT_THAT(
      [&] {
        command.line.parse({"--json", (folder / "file" / "a.json").string()});
      },
      ThrowsMessage<InputError>(HasSubstr("a.json")));
  EXPECT_THAT(
      [&] {
        command.line.parse({"--json", folder.path().string()});
      },
      ThrowsMessage<InputError>(HasSubstr(folder.path().string())));
}

}  // namespace
}  // namespace softmoe::cli
