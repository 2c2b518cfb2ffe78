/// Names from outside that would move the cursor or change colours.

#include <gmock/gmock.h>

#include "checkpoints/checkpoint.h"
#include "cli/tiny.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Terminal, GetsNoControlCharactersFromAnyCommand) {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  const std::string escape = "\x1b[31m";
  write_tiny_checkpoint(path("plain.h5"), {"0", "1", "2", escape, "4", "5", "6", "7", "8", "9"});
  auto checkpoint = load_checkpoint(path("plain.h5"));
  checkpoint.metadata["model_name"] = "tiny" + escape;
  const auto model = path("model" + escape + ".h5");
  save_checkpoint(model, checkpoint);
  const auto image = path("image" + escape + ".png");
  write_random_png(image, 8, 8, /*seed=*/1);
  const auto label = "label" + escape;
  for (const auto& words : {
           Words{"predict", model, image, "--topk", "10", "--json", path("p.json"), "--label",
                 label},
           Words{"convert", model, path("converted" + escape + ".safetensors")},
           Words{"export", model, path("exported" + escape + ".onnx")},
           Words{"prune", model, path("pruned" + escape + ".h5"), "--to", "dense"},
           Words{"upcycle", path("pruned" + escape + ".h5"), path("upcycled" + escape + ".h5"),
                 "--experts", "2"},
           Words{"inspect", model, image, "--output", path("maps"), "--json", path("i.json")},
           Words{"fewshot", model, "--dataset", "digits", "--shots", "1", "--fewshot-seeds", "1",
                 "--label", label, "--json", path("f.json")},
           Words{"report", path("p.json"), path("i.json"), path("f.json"), "--output",
                 path("page" + escape + ".html")},
       }) {
    const auto run = run_program(words);
    EXPECT_TRUE(succeeds(run)) << words.front();
    EXPECT_THAT(run.output + run.error, Not(HasSubstr("\x1b"))) << words.front();
  }
  const auto refused = run_program({"eval", model, "--dataset", "digits"});
  EXPECT_TRUE(ends_with_one_error(refused, 1, {"class 3", "?[31m"}));
}

}  // namespace
}  // namespace softmoe::test
