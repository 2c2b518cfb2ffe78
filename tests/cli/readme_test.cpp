/// The commands of README run as they are printed, with flags behind them that make models and runs
/// small.

#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>

#include "cli/tiny.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 16;  // px

std::string readme() { return read_text_file(fs::path(SOFTMOE_SOURCE_FOLDER) / "README.md"); }

/// The commands that begin with `softmoe` in blocks of shell commands, each on one line and without
/// the comment behind it.
Words commands_in_blocks(const std::string& text) {
  Words commands;
  const std::regex block("```sh\n([^`]*)```");
  for (auto found = std::sregex_iterator(text.begin(), text.end(), block);
       found != std::sregex_iterator(); ++found) {
    const auto lines = std::regex_replace((*found)[1].str(), std::regex(R"(\\\n\s*)"), "");
    for (const auto& line : split_text(lines, '\n')) {
      if (line.starts_with("softmoe ")) {
        commands.push_back(std::regex_replace(line, std::regex(R"(\s+#.*)"), ""));
      }
    }
  }
  return commands;
}

/// The commands inside of sentences.
Words commands_in_sentences(const std::string& text) {
  Words commands;
  const std::regex code("`(softmoe [^`]*)`");
  for (auto found = std::sregex_iterator(text.begin(), text.end(), code);
       found != std::sregex_iterator(); ++found) {
    commands.push_back(std::regex_replace((*found)[1].str(), std::regex("\\s+"), " "));
  }
  return commands;
}

/// What makes a command small; later flags override those of README.
std::string small_flags(const std::string& command) {
  const std::map<std::string, std::string> flags{
      {"train",
       " --img-size 16 --patch-size 8 --dim 16 --depth 2 --heads 2 --mlp-dim 24 --experts 3"
       " --epochs 2 --warmup-epochs 1 --batch-size 8 --moe-blocks last_1"},
      {"finetune", " --img-size 16 --epochs 1 --batch-size 8 --output finetuned"}};
  const auto name = split_text(command, ' ').at(1);
  return flags.contains(name) ? flags.at(name) : "";
}

class Readme : public testing::Test {
 protected:
  Readme() {
    for (const auto* set : {"photos", "birds"}) {
      for (const auto* label : {"a", "b"}) {
        write_images(fs::path(set) / label, 30);
      }
    }
    write_images("holiday", 2);
    // Models that the commands expect.
    const std::string tiny =
        "--img-size 16 --patch-size 8 --dim 16 --depth 2 --heads 2 --mlp-dim 24"
        " --dataset folder --data-dir photos --batch-size 8 --max-steps 1"
        " --output made --threads 1";
    shell("softmoe train --model vit_ti16 --experiment dense " + tiny);
    shell("softmoe train --model softmoe_ti16_8e --moe-blocks last_1 --experiment moe " + tiny);
    shell("softmoe convert made/dense/last.h5 vit_small.safetensors --names timm");
    fs::rename(folder_ / "made/moe/last.h5", folder_ / "large.h5");
  }

  void write_images(const fs::path& place, int count) {
    for (int i = 0; i < count; ++i) {
      write_random_png(folder_ / place / (std::to_string(i) + ".jpg"), kSide, kSide,
                       static_cast<uint64_t>(i));
    }
  }

  /// Runs a command line in the folder, with the program on the path.
  void shell(const std::string& command) {
    const auto path = fs::path(SOFTMOE_PROGRAM).parent_path().string();
    const auto run =
        run_program({"-c", "cd '" + folder_.path().string() + "' && " + command},
                    {.executable = "/bin/sh", .environment = {{"PATH", path + ":/usr/bin:/bin"}}});
    EXPECT_TRUE(succeeds(run)) << command;
  }

  TemporaryFolder folder_;
};

TEST_F(Readme, CommandsRunAsPrinted) {
  const auto text = readme();
  auto commands = commands_in_blocks(text);
  EXPECT_GE(commands.size(), 10U);
  for (const auto& command : commands_in_sentences(text)) {
    if (command.find("COMMAND") == std::string::npos) {
      commands.push_back(command);
    }
  }
  for (const auto& command : commands) {
    SCOPED_TRACE(command);
    if (command.starts_with("softmoe predict best.h5")) {
      fs::copy_file(folder_ / "runs/photos/best.h5", folder_ / "best.h5",
                    fs::copy_options::overwrite_existing);
    }
    shell(command + small_flags(command));
  }
  for (const auto* made : {"runs/photos/config.toml", "runs/photos/summary.csv",
                           "runs/photos/last.h5", "small.h5", "vit_small.onnx", "maps"}) {
    EXPECT_TRUE(fs::exists(folder_ / made)) << made;
  }
}

}  // namespace
}  // namespace softmoe::test
