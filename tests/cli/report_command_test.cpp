/// `softmoe report` of what other commands wrote, as a user runs it.

#include <gmock/gmock.h>

#include "cli/tiny.h"
#include "core/options.h"
#include "io/atomic_file.h"
#include "support/temporary_folder.h"

namespace softmoe::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/// The results of every kind of command about one trained model, made once.
class ReportCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    const auto checkpoint = path("run/last.h5");
    write_digit_files(*folder_ / "digits", 3);
    const Words model{"--checkpoint", checkpoint, "--threads", "1", "--dataset", "digits"};
    const Words predict{"predict", "--checkpoint", checkpoint,  path("digits"),
                        "--json",  path("p.json"), "--threads", "1"};
    for (const auto& words :
         {tiny_training(folder_->path()) + Words{"--json", path("t.json")},
          Words{"eval", "--json", path("e.json")} + model,
          Words{"fewshot", "--json", path("f.json"), "--shots", "1,5"} + model,
          Words{"inspect", "--json", path("i.json"), "--output", path("maps")} + model, predict,
          Words{"benchmark", "--models", "vit_ti16", "softmoe_ti16_2e", "--labels", "dense", "run",
                "--img-size", "32", "--batch-sizes", "1", "--rounds", "2", "--round-seconds",
                "0.01", "--dtypes", "float32", "--json", path("b.json")}}) {
      made_ = made_ && succeeds(run_program(words));
    }
  }
  static void TearDownTestSuite() { folder_.reset(); }
  void SetUp() override { ASSERT_TRUE(made_); }

  static std::string path(const std::string& name) { return (*folder_ / name).string(); }
  static ProgramRun report(const Words& results) {
    return run_program(Words{"report", "--output", path("page.html")} + results);
  }
  static std::string page() { return read_text_file(path("page.html")); }

  static std::unique_ptr<TemporaryFolder> folder_;
  static bool made_;
};

std::unique_ptr<TemporaryFolder> ReportCommand::folder_;
bool ReportCommand::made_ = true;

TEST_F(ReportCommand, ShowsEveryKindOfResult) {
  const auto run = report({path("t.json"), path("e.json"), path("f.json"), path("i.json"),
                           path("p.json"), path("b.json"), "--title", "All of <it>"});
  ASSERT_TRUE(succeeds(run));
  const auto html = page();
  for (const auto* id : {"summary", "training", "fewshot", "evaluation", "throughput", "dispatch",
                         "predictions", "provenance"}) {
    EXPECT_THAT(html, HasSubstr(std::string("<section id=\"") + id + "\"")) << id;
  }
  EXPECT_THAT(html, HasSubstr("All of &lt;it&gt;"));
  EXPECT_THAT(html, HasSubstr("data:image/png;base64,"));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(run.output, HasSubstr("Training"));
  EXPECT_THAT(run.error, HasSubstr("wrote " + path("page.html")));
}

TEST_F(ReportCommand, OneModelHasOneNameAndColourEverywhere) {
  ASSERT_TRUE(succeeds(report({path("run"), path("f.json"), path("e.json"), path("b.json")})));
  const auto html = page();
  // The run came first and has the first colour: its line, its few-shot curve and its bar.
  const auto section = [&html](const std::string& id) {
    const auto begin = html.find("<section id=\"" + id + "\"");
    return html.substr(begin, html.find("</section>", begin) - begin);
  };
  EXPECT_THAT(section("training"), HasSubstr("class=\"line l0"));
  EXPECT_THAT(section("fewshot"), HasSubstr("class=\"line l0"));
  EXPECT_THAT(section("fewshot"), Not(HasSubstr("class=\"line l1")));
  EXPECT_THAT(section("evaluation"), HasSubstr("run: calibration"));
  EXPECT_THAT(section("throughput"), HasSubstr("class=\"bar f0\""));
  EXPECT_THAT(section("throughput"), HasSubstr("class=\"bar reference\""));  // "dense" is no run
}

TEST_F(ReportCommand, LabelsGivenWithThePathsWin) {
  ASSERT_TRUE(succeeds(report({"first=" + path("run"), "second=" + path("f.json")})));
  EXPECT_THAT(page(), HasSubstr("first"));
  EXPECT_THAT(page(), HasSubstr("class=\"line l1"));
}

TEST_F(ReportCommand, FindsFilesThatWereNamedInAnotherFolder) {
  const auto before = std::filesystem::current_path();
  const auto here = *folder_ / "here";
  std::filesystem::create_directories(here / "out");
  std::filesystem::current_path(here);
  const std::string model = "../run/last.h5";
  const bool made = succeeds(run_program({"inspect", model, "../digits", "--output", "out/maps",
                                          "--json", "out/i.json"})) &&
                    succeeds(run_program({"predict", model, "../digits", "--json", "out/p.json"}));
  std::filesystem::current_path(before);
  ASSERT_TRUE(made);
  const auto there = report({(here / "out" / "i.json").string(), (here / "out/p.json").string()});
  ASSERT_TRUE(succeeds(there));
  EXPECT_THAT(page(), Not(HasSubstr("no image")));
  EXPECT_THAT(there.error, Not(HasSubstr("no thumbnail")));
  std::filesystem::rename(here / "out", *folder_ / "moved");
  EXPECT_TRUE(succeeds(report({path("moved/i.json")})));
}

TEST_F(ReportCommand, SaysWhatIsWrong) {
  EXPECT_TRUE(fails_with_one_line(report({}), 2, {"no results given"}));
  EXPECT_TRUE(fails_with_one_line(report({path("none")}), 1, {path("none"), "no such file"}));
  EXPECT_TRUE(fails_with_one_line(report({path("digits")}), 1, {path("digits"), "config.toml"}));
  const auto whole = read_text_file(path("b.json"));
  write_text_file(path("cut.json"), whole.substr(0, whole.size() / 2));
  EXPECT_TRUE(fails_with_one_line(report({path("cut.json")}), 1, {path("cut.json"), "JSON"}));
  write_text_file(path("other.json"), R"({"command": "models", "models": []})");
  EXPECT_TRUE(fails_with_one_line(report({path("other.json")}), 1,
                                  {path("other.json"), "fewshot, benchmark", "'models'"}));
  EXPECT_TRUE(fails_with_one_line(run_program({"report", "--output", path("run"), path("b.json")}),
                                  1, {path("run")}));
}

}  // namespace
}  // namespace softmoe::test
