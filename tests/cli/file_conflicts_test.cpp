/// Commands replace neither what they read nor, by a result, what is something else.

#include "cli/file_conflicts.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "cli/tiny.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/npz.h"
#include "support/error_text.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using cli::check_outputs;
using testing::HasSubstr;

TEST(FileConflicts, AreFoundByAnyNameOfAFile) {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  write_text_file(path("a"), "a");
  write_text_file(path("b"), "b");
  std::filesystem::create_symlink("a", path("link"));
  std::filesystem::create_hard_link(path("a"), path("hard"));
  for (const auto& output : {path("a"), path("link"), path("hard"), path("./a")}) {
    EXPECT_THAT(
        usage_error([&] {
          check_outputs({{"IMAGE", path("b")}, {"CHECKPOINT", path("a")}}, {{"--json", output}});
        }),
        HasSubstr("--json " + output + ": expected another file than that of CHECKPOINT"));
  }
  EXPECT_THAT(usage_error([&] {
                check_outputs({}, {{"OUTPUT", path("new")}, {"--json", path("./new")}});
              }),
              HasSubstr("OUTPUT, which is written, too"));
  EXPECT_NO_THROW(check_outputs({{"CHECKPOINT", path("a")}, {"--config", ""}},
                                {{"OUTPUT", path("b")}, {"--json", path("new")}, {"x", ""}}));
  EXPECT_NO_THROW(check_outputs({{"IMAGE", "/dev/null"}}, {{"--json", "/dev/null"}}));
}

TEST(FileConflicts, LeaveEveryInputOfEveryCommandAsItWas) {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  const auto model = path("model.h5");
  const auto image = path("photos/cat/00000.png");
  const auto arrays = path("arrays.npz");
  const auto weights = path("folder/model.safetensors");
  write_tiny_checkpoint(model);
  write_random_png(image, 8, 8, /*seed=*/1);
  write_random_png(path("photos/dog/1.png"), 8, 8, /*seed=*/2);
  write_npz(arrays, {{"images", torch::zeros({1, 8, 8, 1}, torch::kUInt8)}});
  write_text_file(path("options.toml"), "topk = 3\n");
  ASSERT_TRUE(succeeds(run_program({"convert", model, weights})));
  write_text_file(path("folder/config.json"), R"({"architecture": "vit"})");
  ASSERT_TRUE(succeeds(run_program({"predict", model, image, "--json", path("r.json")})));
  const Words files{
      model,         image, arrays, weights, path("options.toml"), path("folder/config.json"),
      path("r.json")};
  Words before;
  for (const auto& file : files) {
    before.push_back(read_text_file(file));
  }
  const Words photos{"--data-dir", path("photos"), "--split", "all"};
  for (const auto& arguments : {
           Words{"predict", model, image, "--output", image},
           Words{"predict", model, "--images", arrays, "--output", arrays},
           Words{"predict", model, image, "--json", model},
           Words{"predict", model, image, "--config", path("options.toml"), "--json",
                 path("options.toml")},
           Words{"eval", model, "--dataset", "digits", "--json", model},
           Words{"prune", model, model, "--to", "dense"},
           Words{"export", weights, weights},
           Words{"export", path("folder"), weights},
           Words{"convert", path("folder"), weights},
           Words{"data", "sheet", image} + photos,
           Words{"data", "augment", image} + photos,
           Words{"data", "export", path("photos/cat")} + photos,
           Words{"data", "info", "--json", image} + photos,
           Words{"models", "vit_b16", "--json", image},
           Words{"convert", path("folder"), path("x.h5"), "--json", path("folder/config.json")},
           Words{"tokenizer", "train", path("options.toml"), "--output", path("options.toml")},
           Words{"report", path("r.json"), "--output", path("r.json")},
           Words{"report", path("r.json"), "--output", path("options.toml")},
       }) {
    EXPECT_TRUE(ends_with_one_error(run_program(arguments), 2, {"expected a"}))
        << testing::PrintToString(arguments);
  }
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_EQ(read_text_file(files[i]), before[i]) << files[i];
  }
}

TEST(FileConflicts, OutputsAreCheckedBeforeAnythingIsRead) {
  const TemporaryFolder folder;
  write_text_file(folder / "file", "text");
  const auto below = (folder / "file" / "out.npz").string();
  for (const auto& arguments : {
           Words{"predict", "none.h5", "none.png", "--output", below},
           Words{"prune", "none.h5", below, "--to", "dense"},
           Words{"data", "pack", below, "--dataset", "digits"},
           Words{"report", "none", "--output", below},
           Words{"inspect", "none.h5", "none.png", "--output", below},
           Words{"fewshot", "none.h5", "--dataset", "digits", "--save-features", below},
       }) {
    EXPECT_TRUE(fails_with_one_line(run_program(arguments), 1, {"cannot write " + below}))
        << arguments.front();
  }
}

}  // namespace
}  // namespace softmoe::test
