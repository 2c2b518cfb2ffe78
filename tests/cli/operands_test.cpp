/// Models that are read and written, by their place and by --checkpoint and --output.

#include <gmock/gmock.h>

#include "cli/command_line.h"
#include "cli/tiny.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using cli::CommandLine;
using testing::ElementsAre;
using testing::HasSubstr;

struct ShrinkOptions {
  std::string checkpoint;
  std::string output;
  std::vector<int64_t> experts;
  std::vector<std::string> patterns;
  int64_t seed = 0;
};

void describe(OptionTable& table, ShrinkOptions& options) {
  table.add("checkpoint", options.checkpoint, "the model to shrink", {.unit = "file"});
  table.add("output", options.output, "where the smaller one goes", {.unit = "file"});
  table.add("experts", options.experts, "experts that stay", {.min = 1});
  table.add("patterns", options.patterns, "tensors to leave out");
  table.add("seed", options.seed, "of all random choices", {.min = 0});
}

/// A command that reads a model and may write one.
class Shrink {
 public:
  Shrink() {
    line.add("Shrinking", options);
    line.add_operand("checkpoint");
    line.add_operand("output", /*required=*/false);
  }
  /// Checkpoint and output after `arguments` were read.
  Words places(const Words& arguments) {
    EXPECT_TRUE(line.parse(arguments));
    return {options.checkpoint, options.output};
  }

  ShrinkOptions options;
  CommandLine line{"shrink", "Shrinks a model."};
};

Words places(const Words& arguments) { return Shrink().places(arguments); }

std::string mistake(const Words& arguments) {
  return usage_error([&] { Shrink().line.parse(arguments); });
}

TEST(Operands, AreGivenByPlaceOrByFlag) {
  for (const auto& arguments :
       {Words{"a.h5", "b.h5"}, Words{"--checkpoint", "a.h5", "b.h5"},
        Words{"b.h5", "--checkpoint=a.h5"}, Words{"a.h5", "--output", "b.h5"},
        Words{"--output=b.h5", "--checkpoint", "a.h5"}, Words{"a.h5", "--seed", "7", "b.h5"},
        Words{"--seed", "7", "--", "a.h5", "b.h5"}}) {
    EXPECT_THAT(places(arguments), ElementsAre("a.h5", "b.h5"));
  }
  EXPECT_THAT(places({"a.h5"}), ElementsAre("a.h5", ""));
}

TEST(Operands, FollowListsOfNumbersAndTexts) {
  Shrink numbers;
  EXPECT_THAT(numbers.places({"--experts", "8", "4", "a.h5", "b.h5"}), ElementsAre("a.h5", "b.h5"));
  EXPECT_THAT(numbers.options.experts, ElementsAre(8, 4));
  // The required operand stays; the one that may be missing is taken for a text of the list.
  Shrink texts;
  EXPECT_THAT(texts.places({"--patterns", "x.*", "y.*", "a.h5"}), ElementsAre("a.h5", ""));
  EXPECT_THAT(texts.options.patterns, ElementsAre("x.*", "y.*"));
  for (const auto& arguments :
       {Words{"--patterns", "x.*", "y.*", "--checkpoint", "a.h5"},
        Words{"a.h5", "--patterns", "x.*", "y.*"},
        Words{"-c", "/dev/null", "--checkpoint", "a.h5", "--patterns", "x.*", "y.*"}}) {
    Shrink command;
    EXPECT_THAT(command.places(arguments), ElementsAre("a.h5", ""));
    EXPECT_THAT(command.options.patterns, ElementsAre("x.*", "y.*"));
  }
}

TEST(Operands, OfAConfigFileAreReplacedByThoseOfTheCommandLine) {
  const TemporaryFolder folder;
  const auto config = (folder / "shrink.toml").string();
  write_text_file(config, "checkpoint = \"a.h5\"\n");
  EXPECT_THAT(places({"-c", config}), ElementsAre("a.h5", ""));
  EXPECT_THAT(places({"-c", config, "x.h5"}), ElementsAre("a.h5", "x.h5"));
  EXPECT_THAT(places({"-c", config, "x.h5", "y.h5"}), ElementsAre("x.h5", "y.h5"));
  EXPECT_THAT(places({"-c", config, "--checkpoint", "x.h5"}), ElementsAre("x.h5", ""));
  write_text_file(config, "checkpoint = \"a.h5\"\noutput = \"b.h5\"\n");
  EXPECT_THAT(places({"-c", config, "x.h5", "y.h5"}), ElementsAre("x.h5", "y.h5"));
}

TEST(Operands, StandAmongTheResolvedOptions) {
  Shrink command;
  ASSERT_TRUE(command.line.parse({"a.h5", "b.h5"}));
  EXPECT_TRUE(command.line.given("output"));
  EXPECT_EQ(command.line.resolved().at("checkpoint"), "a.h5");
  EXPECT_THAT(command.line.resolved_config(), HasSubstr("output = \"b.h5\"\n"));
}

TEST(Operands, GivenTwiceOrNotAtAllAreNamed) {
  EXPECT_EQ(mistake({}), "CHECKPOINT (--checkpoint) is missing: the model to shrink");
  EXPECT_EQ(mistake({"--checkpoint", ""}),
            "CHECKPOINT (--checkpoint) is missing: the model to shrink");
  EXPECT_EQ(mistake({"--checkpoint", "a.h5", "b.h5", "c.h5"}),
            "'c.h5' is one argument too many: --checkpoint gives CHECKPOINT already");
  EXPECT_EQ(mistake({"a.h5", "b.h5", "--output", "c.h5"}),
            "'b.h5' is one argument too many: --output gives OUTPUT already");
  EXPECT_THAT(mistake({"a.h5", "b.h5", "c.h5"}), HasSubstr("unknown argument 'c.h5'"));
}

TEST(Operands, OpenTheHelpPage) {
  const auto help = Shrink().line.help(100);
  EXPECT_THAT(help, testing::StartsWith("usage: softmoe shrink CHECKPOINT [OUTPUT] [OPTIONS]\n"));
  EXPECT_THAT(help, HasSubstr("\n  CHECKPOINT                    the model to shrink\n"
                              "  OUTPUT                        where the smaller one goes\n"));
  EXPECT_THAT(help, HasSubstr("\n  --checkpoint FILE             CHECKPOINT, given by a flag\n"));
}

/// One command by place and by flags. "{model}" stands for a tiny checkpoint, "{out}" for the file
/// that is written, "{image}" for an image file.
struct TwoWays {
  const char* name;
  Words by_place;
  Words by_flag;
  Words more{};
};

void PrintTo(const TwoWays& ways, std::ostream* stream) { *stream << ways.name; }

class GrammarOf : public testing::TestWithParam<TwoWays> {
 protected:
  void SetUp() override {
    write_tiny_checkpoint(model());
    write_digit_files(folder_ / "images", 3);
  }
  std::string model() const { return (folder_ / "tiny.h5").string(); }

  /// Runs the command; the output goes to a path of the same name each time, so that reports of it
  /// agree.
  ProgramRun run(const Words& arguments) const {
    Words filled;
    for (auto argument : arguments) {
      for (const auto& [from, to] :
           {std::pair{"{model}", model()}, {"{out}", out()}, {"{image}", image()}}) {
        if (const auto at = argument.find(from); at != std::string::npos) {
          argument.replace(at, std::string(from).size(), to);
        }
      }
      filled.push_back(argument);
    }
    return run_program(filled);
  }
  std::string out() const { return (folder_ / GetParam().name).string() + ".h5"; }
  std::string image() const { return (folder_ / "images").string(); }
  /// The bytes of the written file, which is removed.
  std::string take_output() const {
    if (!std::filesystem::is_regular_file(out())) {
      return "";
    }
    const auto bytes = read_text_file(out());
    std::filesystem::remove(out());
    return bytes;
  }

  TemporaryFolder folder_;
};

TEST_P(GrammarOf, GivesOneResultByPlaceAndByFlag) {
  const auto by_place = run(GetParam().by_place + GetParam().more);
  ASSERT_TRUE(succeeds(by_place));
  const auto placed = take_output();
  const auto by_flag = run(GetParam().by_flag + GetParam().more);
  ASSERT_TRUE(succeeds(by_flag));
  EXPECT_EQ(by_flag.output, by_place.output);
  EXPECT_TRUE(take_output() == placed);
}

TEST_P(GrammarOf, RefusesWhatIsGivenTwice) {
  const auto twice = run(GetParam().by_flag + GetParam().more + Words{"--", "x", "y"});
  EXPECT_TRUE(fails_with_one_line(twice, 2, {"one argument too many"}));
}

const TwoWays kCommands[] = {
    {"prune",
     {"prune", "{model}", "{out}"},
     {"prune", "--checkpoint={model}", "--output={out}"},
     {"--to", "dense", "--threads", "1"}},
    {"convert",
     {"convert", "{model}", "{out}"},
     {"convert", "--checkpoint={model}", "--output", "{out}"}},
    {"export",
     {"export", "{model}", "{out}"},
     {"export", "--output", "{out}", "--checkpoint", "{model}"},
     {"--format", "safetensors"}},
    {"eval",
     {"eval", "{model}"},
     {"eval", "--checkpoint", "{model}"},
     {"--dataset", "digits", "--threads", "1"}},
    {"fewshot",
     {"fewshot", "{model}"},
     {"fewshot", "--checkpoint", "{model}"},
     {"--dataset", "digits", "--shots", "1", "2", "--threads", "1"}},
    {"knn",
     {"knn", "{model}"},
     {"knn", "--checkpoint", "{model}"},
     {"--dataset", "digits", "--threads", "1"}},
    {"probe",
     {"probe", "{model}", "{out}"},
     {"probe", "--checkpoint={model}", "--output={out}"},
     {"--dataset", "digits", "--learning-rates", "0.1", "--epochs", "1", "--epoch-length", "20",
      "--threads", "1"}},
    {"models", {"models", "vit_ti16", "vit_s16"}, {"models", "--models", "vit_ti16", "vit_s16"}},
    {"data_describe",
     {"data", "describe"},
     {"data", "--action", "describe"},
     {"--dataset", "digits"}},
    {"data_pack",
     {"data", "pack", "{out}"},
     {"data", "--output={out}", "--action=pack"},
     {"--dataset", "digits", "--split", "val"}},
};

INSTANTIATE_TEST_SUITE_P(Commands, GrammarOf, testing::ValuesIn(kCommands),
                         [](const auto& test_case) { return std::string(test_case.param.name); });

TEST(Operands, OfPredictAndInspectStandBeforeTheImages) {
  const TemporaryFolder folder;
  const auto model = (folder / "tiny.h5").string();
  const auto images = (folder / "images").string();
  write_tiny_checkpoint(model);
  write_digit_files(images, 3);
  for (const auto& command :
       {Words{"predict", "--threads", "1"},
        Words{"inspect", "--threads", "1", "--output", (folder / "maps").string()}}) {
    const auto by_place = run_program(command + Words{model, images});
    ASSERT_TRUE(succeeds(by_place));
    for (const auto& by_flag :
         {Words{"--checkpoint", model, images}, Words{images, "--checkpoint=" + model}}) {
      const auto run = run_program(command + by_flag);
      ASSERT_TRUE(succeeds(run));
      EXPECT_EQ(run.output, by_place.output);
    }
  }
  EXPECT_TRUE(fails_with_one_line(run_program({"predict"}), 2,
                                  {"CHECKPOINT (--checkpoint) is missing: the model"}));
}

}  // namespace
}  // namespace softmoe::test
