#include <gmock/gmock.h>

#include <opencv2/imgcodecs.hpp>

#include "core/error.h"
#include "html.h"
#include "io/atomic_file.h"
#include "report/report.h"
#include "report/sections.h"
#include "support/temporary_folder.h"

namespace softmoe::report {
namespace {

using test::attributes;
using test::count_of;
using test::is_well_formed;
using test::shows_no_number;
using test::TemporaryFolder;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

Curve line(double last_step, double last_seconds, double last_value) {
  Curve curve;
  for (int i = 1; i <= 4; ++i) {
    curve.push_back(
        {.step = last_step * i / 4, .seconds = last_seconds * i / 4, .value = last_value * i / 4});
  }
  return curve;
}

TrainingRun run_of(const std::string& label, double steps, double seconds, double top1) {
  return {.label = label,
          .model = "vit",
          .data_set = "letters",
          .train_loss = line(steps, seconds, 2.0),
          .eval_loss = {},
          .eval_top1 = line(steps, seconds, top1),
          .steps = steps,
          .seconds = seconds};
}

FewShotCurve few_shot_of(const std::string& label, const std::string& data_set) {
  return {.label = label,
          .data_set = data_set,
          .points = {{.shots = 1, .accuracy = 0.4, .deviation = 0.02},
                     {.shots = 10, .accuracy = 0.7, .deviation = 0.01}}};
}

ThroughputResult throughput_of(const std::string& model, double rate, double ratio) {
  return {.model = model,
          .mode = "infer",
          .dtype = "bfloat16",
          .batch_size = 8,
          .images_per_second = {rate, 0.9 * rate, 1.1 * rate},
          .matmul_share = 0.5,
          .ratio = ratio};
}

/// Something of every kind, with labels that would break a careless page.
Results everything(const TemporaryFolder& folder) {
  const auto image = (folder / "a&b.png").string();
  cv::imwrite(image, cv::Mat(20, 30, CV_8UC3, cv::Scalar(10, 200, 30)));
  Results results;
  results.runs = {run_of("dense <1>", 400, 100, 0.5), run_of("soft & \"moe\"", 300, 120, 0.6)};
  results.runs.push_back(run_of("tuned", 50, 20, 0.9));
  results.runs.back().data_set = "clothes";
  results.runs.back().finetuned = true;
  results.few_shot = {few_shot_of("dense <1>", "digits"), few_shot_of("pixels", "digits"),
                      few_shot_of("pixels", "clothes")};
  results.throughput = {throughput_of("vit_h14", 2, 1.0), throughput_of("softmoe_b16", 11, 5.5)};
  results.evaluations = {{.label = "best",
                          .data_set = "clothes",
                          .examples = 40,
                          .top1 = 0.9,
                          .calibration = {{0.5, 0.4, 30}, {0.9, 0.95, 60}, {0.2, 0.0, 1}},
                          .class_accuracy = {{"<coat>", 0.75}, {"bag", 0.5}}}};
  results.dispatch_maps = {{.label = "maps",
                            .sheets = {{.file = image, .title = "Block 3", .caption = "<c>"}},
                            .layers = {{{"block", 3}, {"contribution_above_2", 0.125}}}}};
  results.predictions = {
      {.label = "p", .image = image, .guesses = {{"<bag>", 0.75}, {"coat", 0.25}}},
      {.label = "p", .image = (folder / "gone.png").string(), .guesses = {{"hat", kMissing}}}};
  results.probes = {
      {.label = "dense <1>", .data_set = "d", .method = "20-NN", .examples = 5, .top1 = 0.5}};
  results.provenance = {{.label = "b",
                         .path = "b.json",
                         .command = "benchmark",
                         .arguments = {"--models", "a b", "it's"},
                         .machine = {{"processor", "X <1>"}, {"memory_bytes", 25.8e9}},
                         .options = {{"rounds", 5}}}};
  return results;
}

TEST(Page, IsWellFormedAndNeedsNothingElse) {
  const TemporaryFolder folder;
  const auto html = report_html(everything(folder), "T <1>", "sub & title");
  EXPECT_TRUE(is_well_formed(html));
  EXPECT_THAT(html, Not(HasSubstr("<script")));
  EXPECT_THAT(html, Not(HasSubstr("<link")));
  EXPECT_THAT(html, Not(HasSubstr("url(")));
  EXPECT_EQ(count_of(html, "src=\""), count_of(html, "src=\"data:image/png;base64,"));
  EXPECT_FALSE(shows_no_number(html));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
  for (const auto* id : {"summary", "training", "fewshot", "probes", "finetuning", "evaluation",
                         "throughput", "dispatch", "predictions", "provenance"}) {
    EXPECT_EQ(count_of(html, std::string("<section id=\"") + id + "\""), 1U) << id;
    EXPECT_EQ(count_of(html, std::string("href=\"#") + id + "\""), 1U) << id;
  }
}

TEST(Page, EscapesEveryLabel) {
  const TemporaryFolder folder;
  const auto html = report_html(everything(folder), "T <1>", "");
  for (const auto* raw : {"dense <1>", "soft & \"", "<bag>", "X <1>", "T <1>", "<c>"}) {
    EXPECT_EQ(count_of(html, raw), 0U) << raw;
  }
  EXPECT_THAT(html, HasSubstr("softmoe benchmark --models &#39;a b&#39;"));
}

TEST(Page, AnEmptySectionIsLeftOut) {
  Results results;
  results.throughput = {throughput_of("m", 3, kMissing)};
  const auto html = report_html(results, "T", "");
  EXPECT_TRUE(is_well_formed(html));
  EXPECT_EQ(count_of(html, "<section "), 2U);  // the summary and throughput
  EXPECT_TRUE(is_well_formed(report_html({}, "T", "")));
}

TEST(Page, ALabelHasOneColorInAllPlots) {
  const TemporaryFolder folder;
  auto results = everything(folder);
  results.runs.erase(results.runs.begin() + 2);
  results.few_shot = {few_shot_of("pixels", "digits"), few_shot_of("soft & \"moe\"", "digits")};
  SeriesColors colors;
  const auto training = training_section(results, false, colors).html();
  const auto few_shot = few_shot_section(results, colors).html();
  EXPECT_EQ(colors.color_of("dense <1>"), 0);
  EXPECT_EQ(colors.color_of("soft & \"moe\""), 1);
  EXPECT_EQ(colors.color_of("pixels"), 2);
  EXPECT_GT(attributes(training, "path", "l1", "d").size(), 0U);
  EXPECT_GT(attributes(few_shot, "path", "l1", "d").size(), 0U);
  EXPECT_EQ(attributes(few_shot, "path", "l0", "d").size(), 0U);
}

TEST(Page, ManyRunsStayReadableAsATable) {
  Results results;
  for (int i = 0; i < 40; ++i) {
    results.runs.push_back(run_of("run " + std::to_string(i), 100 + i, 50, 0.01 * i));
  }
  const auto html = report_html(results, "T", "");
  EXPECT_TRUE(is_well_formed(html));
  EXPECT_THAT(html, HasSubstr("run 39"));
}

TEST(Page, RunsWithoutEvaluationsShowTheirLoss) {
  Results results;
  results.runs = {run_of("a", 10, 5, 0.5)};
  results.runs[0].eval_top1.clear();
  SeriesColors colors;
  const auto html = training_section(results, false, colors).html();
  EXPECT_THAT(html, Not(HasSubstr("Accuracy by steps")));
  EXPECT_THAT(html, HasSubstr("Loss by steps"));
}

TEST(Page, LayersAreShownByTheirNumbers) {
  const TemporaryFolder folder;
  const auto html = dispatch_section(everything(folder)).html();
  EXPECT_THAT(html, HasSubstr("<td class=\"number\">12.5</td>"));
  EXPECT_THAT(html, Not(HasSubstr("slot similarity</th>")));
}

TEST(Page, ADispatchSheetMustBeAPng) {
  const TemporaryFolder folder;
  auto results = everything(folder);
  write_text_file(folder / "sheet.png", "not an image");
  results.dispatch_maps[0].sheets[0].file = (folder / "sheet.png").string();
  EXPECT_THAT([&] { report_html(results, "T", ""); },
              ThrowsMessage<InputError>(HasSubstr("sheet.png: expected a PNG image")));
}

TEST(Page, EvaluationsShowTheWorstClassFirstAndTrustworthyBins) {
  const TemporaryFolder folder;
  SeriesColors colors;
  const auto html = evaluation_section(everything(folder), colors).html();
  EXPECT_LT(html.find(">bag<"), html.find(">&lt;coat&gt;<"));
  EXPECT_EQ(attributes(html, "circle", "m0", "cx").size(), 2U);  // not the bin of one image
}

TEST(Summary, ComparesAtEqualTime) {
  Results results;
  results.runs = {run_of("short", 400, 100, 0.5), run_of("long", 300, 200, 0.8)};
  const auto tables = summary_tables(results);
  ASSERT_EQ(tables.size(), 1U);
  // At 100 s the long run is half way: 40 %.
  EXPECT_EQ(tables[0].rows.at(0).cells.back().text, "50.0");
  EXPECT_EQ(tables[0].rows.at(1).cells.back().text, "40.0");
  const auto first = headlines(results).at(0);
  EXPECT_EQ(first.value, "50.0 %");
  EXPECT_THAT(first.meaning, HasSubstr("short"));
  EXPECT_EQ(first.context, "long 40.0");
}

TEST(Summary, HeadlinesTheSoftMoeRatio) {
  Results results;
  results.throughput = {throughput_of("vit_h14", 2, 1.0), throughput_of("vit_b16", 15, 7.5),
                        throughput_of("softmoe_b16", 11, 5.5)};
  const auto lines = headlines(results);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines[0].value, "5.50\u00d7");
  EXPECT_THAT(lines[0].meaning, HasSubstr("relative to vit_h14"));
}

TEST(Throughput, BarsHaveTheColoursOfOtherSections) {
  Results results;
  results.throughput = {throughput_of("vit_h14", 2, 1.0), throughput_of("softmoe_b16", 11, 5.5),
                        throughput_of("vit_b16", 15, 7.5)};
  results.throughput[1].label = "mine";
  SeriesColors colors;
  colors.color_of("other");
  colors.color_of("mine");
  const auto html = throughput_section(results, colors).html();
  EXPECT_EQ(count_of(html, "class=\"bar f1\""), 2U);  // its rate and its share of the peak
  EXPECT_EQ(count_of(html, "class=\"bar reference\""), 2U);
  EXPECT_EQ(count_of(html, "class=\"bar\""), 2U);
  EXPECT_THAT(html, HasSubstr(">mine<"));
  EXPECT_THAT(html, Not(HasSubstr("softmoe_b16")));
  EXPECT_EQ(colors.known_color("vit_b16"), std::nullopt);
}

TEST(Throughput, NamesTheLevelOfKernelsAndWhatWasLeftOut) {
  Results results;
  results.throughput = {throughput_of("vit_b16", 2, kMissing)};
  results.left_out = {{.name = "vit_h14",
                       .mode = "infer",
                       .dtype = "float32",
                       .batch_size = 8,
                       .reason = "takes <long>"}};
  results.provenance = {
      {.label = "old", .command = "benchmark", .machine = {{"processor", "Y"}}},
      {.label = "b", .command = "benchmark", .machine = {{"processor", "X"}, {"isa", "avx2"}}},
      {.label = "p", .command = "predict", .machine = {{"processor", "Z"}, {"isa", "avx2"}}}};
  const auto html = throughput_section(results, SeriesColors()).html();
  EXPECT_THAT(html, HasSubstr("Measured on X, kernels of level avx2."));
  EXPECT_THAT(html, HasSubstr("Measured on Y."));
  EXPECT_THAT(html, Not(HasSubstr("Measured on Z")));
  EXPECT_THAT(html, HasSubstr("vit_h14"));
  EXPECT_THAT(html, HasSubstr("takes &lt;long&gt;"));
  // The first machine says nothing of its level, the second does.
  EXPECT_THAT(provenance_section(results).html(), HasSubstr("level of kernels"));
}

TEST(Summary, TextHasATableForEveryKind) {
  const TemporaryFolder folder;
  const auto text = report_summary_text(everything(folder));
  for (const auto* part : {"Training\n", "Few-shot accuracy, %\n", "Throughput\n", "Evaluation\n",
                           "softmoe_b16", "dense <1>"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_EQ(report_summary_text({}), "");
}

}  // namespace
}  // namespace softmoe::report
