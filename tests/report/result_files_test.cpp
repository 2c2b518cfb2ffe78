#include "report/result_files.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "io/atomic_file.h"
#include "report/result_json.h"
#include "report/run_folder_reader.h"
#include "support/temporary_folder.h"

namespace softmoe::report {
namespace {

using test::TemporaryFolder;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;
using testing::ThrowsMessage;

/// A run of 4 steps: two records of loss, two evaluations.
void write_run(const std::filesystem::path& folder, const std::string& more_options = "") {
  write_text_file(
      folder / "config.toml",
      "model = \"vit_ti7\"\ndataset = \"characters\"\ndata-dir = \"\"\nbatch-size = 32\n"
      "grad-accum-steps = 2\nshots = [1, 5]\n" +
          more_options);
  write_text_file(folder / "metrics.jsonl",
                  "{\"step\":2,\"train_loss\":3.5}\n{\"step\":4,\"train_loss\":2.5}\n");
  write_text_file(folder / "timing.jsonl",
                  "{\"step\":2,\"train_seconds\":10}\n{\"step\":4,\"train_seconds\":16}\n");
  write_text_file(folder / "summary.csv",
                  "epoch,step,train_loss,eval_loss,eval_top1,eval_top5,lr\n"
                  "0.75,3,3.1,3.2,0.25,0.5,0.001\n1.0,4,2.5,nan,0.375,0.75,0.0005\n");
}

std::string write_json(const TemporaryFolder& folder, const std::string& name,
                       const std::string& text) {
  const auto path = folder / name;
  write_text_file(path, text);
  return path.string();
}

TEST(RunFolder, GivesCurvesOverStepsAndSeconds) {
  const TemporaryFolder folder;
  write_run(folder / "first run");
  const auto results = read_results({"dense=" + (folder / "first run").string()});
  ASSERT_THAT(results.runs, SizeIs(1));
  const auto& run = results.runs[0];
  EXPECT_EQ(run.label, "dense");
  EXPECT_EQ(run.model, "vit_ti7");
  EXPECT_EQ(run.data_set, "characters");
  write_run(folder / "soft", "moe-blocks = \"last_half\"\nexperts = 4\nrouter = \"soft\"\n");
  EXPECT_EQ(read_results({(folder / "soft").string()}).runs[0].model,
            "vit_ti7 with 4 experts (soft, last_half)");
  EXPECT_FALSE(run.finetuned);
  ASSERT_THAT(run.train_loss, SizeIs(2));
  EXPECT_EQ(run.train_loss[1].value, 2.5);
  ASSERT_THAT(run.eval_top1, SizeIs(2));
  EXPECT_EQ(run.eval_top1[0].step, 3);
  EXPECT_DOUBLE_EQ(run.eval_top1[0].seconds, 13.0);  // between the two records of time
  EXPECT_EQ(run.eval_top1[1].value, 0.375);
  EXPECT_TRUE(std::isnan(run.eval_loss[1].value));
  EXPECT_EQ(run.steps, 4);
  EXPECT_EQ(run.seconds, 16);
  EXPECT_DOUBLE_EQ(run.images_per_second, 4 * 64 / 16.0);
}

TEST(RunFolder, IsCalledByItsFolderAndKnowsItsCheckpoint) {
  const TemporaryFolder folder;
  write_run(folder / "tuned", "checkpoint = \"runs/up/best.h5\"\n");
  const auto results = read_results({(folder / "tuned").string() + "/"});
  EXPECT_EQ(results.runs.at(0).label, "tuned");
  EXPECT_TRUE(results.runs[0].finetuned);
  EXPECT_EQ(results.provenance.at(0).command, "finetune");
}

TEST(RunFolder, AnEqualsSignInAPathIsNoLabel) {
  const TemporaryFolder folder;
  write_run(folder / "lr=0.1");
  EXPECT_EQ(read_results({(folder / "lr=0.1").string()}).runs.at(0).label, "lr=0.1");
}

TEST(RunFolder, NeedsNoTiming) {
  const TemporaryFolder folder;
  write_run(folder / "run");
  std::filesystem::remove(folder / "run/timing.jsonl");
  const auto run = read_training_run((folder / "run").string(), "");
  EXPECT_TRUE(std::isnan(run.seconds));
  EXPECT_TRUE(std::isnan(run.eval_top1.at(1).seconds));
  EXPECT_EQ(run.eval_top1[1].step, 4);
}

TEST(RunFolder, NamesFileAndLineOfWhatIsBroken) {
  const TemporaryFolder folder;
  const auto run = folder / "run";
  const auto read = [&] { read_results({run.string()}); };
  std::filesystem::create_directories(run);
  EXPECT_THAT(read, ThrowsMessage<InputError>(HasSubstr("config.toml")));
  write_run(run);
  write_text_file(run / "metrics.jsonl", "{\"step\":2,\"train_loss\":3.5}\n{\"step\":4,\"tra");
  EXPECT_THAT(read, ThrowsMessage<InputError>(
                        AllOf(HasSubstr("metrics.jsonl: line 2"), HasSubstr("breaks off"))));
  write_run(run);
  write_text_file(run / "timing.jsonl", "{\"train_seconds\":3}\n");
  EXPECT_THAT(read, ThrowsMessage<InputError>(
                        AllOf(HasSubstr("timing.jsonl: line 1"), HasSubstr("'step'"))));
  write_run(run);
  write_text_file(run / "summary.csv", "epoch,step,eval_loss,eval_top1\n1,2,0.5\n");
  EXPECT_THAT(read, ThrowsMessage<InputError>(
                        AllOf(HasSubstr("summary.csv: line 2"), HasSubstr("4 columns"))));
  write_text_file(run / "summary.csv", "epoch,step,eval_loss,eval_top1\n1,2,0.5,12x\n");
  EXPECT_THAT(read, ThrowsMessage<InputError>(
                        AllOf(HasSubstr("summary.csv: line 2: eval_top1"), HasSubstr("'12x'"))));
  write_text_file(run / "summary.csv", "epoch,step\n1,2\n");
  EXPECT_THAT(read, ThrowsMessage<InputError>(HasSubstr("a column 'eval_loss'")));
  write_run(run, "nonsense\n");
  EXPECT_THAT(read, ThrowsMessage<InputError>(HasSubstr("config.toml: line 7")));
}

TEST(ResultJson, ReadsTrainingByItsRunFolder) {
  const TemporaryFolder folder;
  write_run(folder / "runs/up");
  const auto path = write_json(folder, "train.json",
                               R"({"command":"train","run_folder":"runs/up","model":"vit_x",
                                   "parameters":1200000,"gflop":0.05,"machine":{"cores":3}})");
  const auto results = read_results({path});
  EXPECT_EQ(results.runs.at(0).label, "up");
  EXPECT_EQ(results.runs[0].model, "vit_x");
  EXPECT_EQ(results.runs[0].gflop, 0.05);
  ASSERT_THAT(results.provenance, SizeIs(1));
  EXPECT_EQ(results.provenance[0].machine.at("cores"), 3);
}

TEST(ResultJson, ReadsFewShotScoresOfOneSet) {
  const TemporaryFolder folder;
  const auto path = write_json(folder, "dense.json",
                               R"({"command":"fewshot","name":"digits","results":[
      {"shots":10,"lambda":1024,"accuracy_mean":0.8,"accuracy_std":0.01},
      {"shots":1,"lambda":1024,"accuracy_mean":null}]})");
  const auto results = read_results({path});
  ASSERT_THAT(results.few_shot, SizeIs(1));
  const auto& curve = results.few_shot[0];
  EXPECT_EQ(curve.label, "dense");
  EXPECT_EQ(curve.data_set, "digits");
  ASSERT_THAT(curve.points, SizeIs(2));
  EXPECT_EQ(curve.points[0].shots, 1);
  EXPECT_TRUE(std::isnan(curve.points[0].accuracy));
  EXPECT_EQ(curve.points[1].deviation, 0.01);
}

TEST(ResultJson, ReadsFewShotScoresOfSeveralSets) {
  const TemporaryFolder folder;
  const auto path = write_json(folder, "probes.json",
                               R"({"command":"fewshot","label":"L","sets":[
      {"name":"a","results":[{"shots":1,"accuracy_mean":0.5}]},
      {"name":"b","label":"M","results":[{"shots":5,"accuracy_mean":0.25}]}]})");
  const auto own = read_results({path}).few_shot;
  ASSERT_THAT(own, SizeIs(2));
  EXPECT_EQ(own[0].label + own[0].data_set + own[1].label + own[1].data_set, "LaMb");
  EXPECT_EQ(read_results({"given=" + path}).few_shot.at(1).label, "given");
}

TEST(ResultJson, ReadsProbesOfFrozenFeatures) {
  const TemporaryFolder folder;
  const auto knn =
      write_json(folder, "knn.json",
                 R"({"command":"knn","label":"L","name":"a","test_examples":7,"results":[
      {"k":10,"top1":0.5,"top5":0.75},{"k":20,"top1":0.25,"top5":1.0}]})");
  const auto probe = write_json(folder, "probe.json",
                                R"({"command":"probe","label":"L","sets":[
      {"name":"a","train_examples":9,"examples":7,"top1":0.5,"top5":0.75},
      {"name":"b","train_examples":9,"examples":6,"top1":0.125,"top5":0.25}]})");
  const auto probes = read_results({knn, "given=" + probe}).probes;
  ASSERT_THAT(probes, SizeIs(4));
  EXPECT_EQ(probes[0].label + " " + probes[0].data_set + " " + probes[0].method, "L a 10-NN");
  EXPECT_EQ(probes[1].method, "20-NN");
  EXPECT_EQ(probes[1].top5, 1.0);
  EXPECT_EQ(probes[1].examples, 7);
  EXPECT_EQ(probes[3].label + " " + probes[3].data_set + " " + probes[3].method, "given b linear");
  EXPECT_EQ(probes[3].top1, 0.125);
  EXPECT_EQ(probes[3].examples, 6);
}

TEST(ResultJson, ReadsAveragePrecisionOfSeveralLabels) {
  const TemporaryFolder folder;
  const auto path = write_json(folder, "e.json",
                               R"({"command":"eval","top1":0.5,"mean_average_precision":0.25,
      "classes":["x","y"],"average_precision":[0.25,null]})");
  const auto results = read_results({path});
  ASSERT_THAT(results.evaluations, SizeIs(1));
  EXPECT_EQ(results.evaluations[0].mean_average_precision, 0.25);
  ASSERT_THAT(results.evaluations[0].class_accuracy, SizeIs(1));
  EXPECT_EQ(results.evaluations[0].class_accuracy[0].first, "x");
}

TEST(ResultJson, SeveralLambdasAreSeveralCurves) {
  const TemporaryFolder folder;
  const auto path = write_json(folder, "f.json", R"({"command":"fewshot","name":"a","results":[
      {"shots":1,"lambda":2,"accuracy_mean":0.1},{"shots":1,"lambda":4,"accuracy_mean":0.2},
      {"shots":5,"lambda":2,"accuracy_mean":0.3},{"shots":5,"lambda":4,"accuracy_mean":0.4}]})");
  const auto curves = read_results({path}).few_shot;
  ASSERT_THAT(curves, SizeIs(2));
  EXPECT_EQ(curves[0].points.at(1).accuracy, 0.3);
  EXPECT_EQ(curves[1].points.at(1).accuracy, 0.4);
  EXPECT_NE(curves[0].label, curves[1].label);
}

TEST(ResultJson, ReadsBenchmarkRecords) {
  const TemporaryFolder folder;
  const auto path = write_json(folder, "b.json", R"({"command":"benchmark","records":[
      {"model":"vit_b16","mode":"infer","dtype":"bfloat16","batch_size":8,
       "images_per_second":{"median":12.5,"minimum":11,"maximum":13},
       "ms_per_image":{"median":80,"minimum":77,"maximum":91},"ratio_to_baseline":null,
       "matmul_share":0.5,"interleaved":false}],
      "left_out":[{"model":"vit_h14","label":"huge","mode":"infer","dtype":"float32",
       "batch_size":16,"reason":"too slow"}]})");
  const auto results = read_results({path});
  const auto& records = results.throughput;
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(records[0].images_per_second.maximum, 13);
  EXPECT_EQ(records[0].milliseconds_per_image, 80);
  EXPECT_TRUE(std::isnan(records[0].ratio));
  EXPECT_FALSE(records[0].interleaved);
  ASSERT_THAT(results.left_out, SizeIs(1));
  EXPECT_EQ(results.left_out[0].name, "huge");
  EXPECT_EQ(results.left_out[0].batch_size, 16);
  EXPECT_EQ(results.left_out[0].reason, "too slow");
}

TEST(ResultJson, BenchmarkedModelsHaveLabels) {
  const TemporaryFolder folder;
  const auto record = [](const std::string& model, const std::string& label) {
    return R"({"model":")" + model + R"(","mode":"infer","dtype":"float32","batch_size":1,)" +
           R"("images_per_second":{"median":3},"label":)" + label + "}";
  };
  const auto names = [](const std::string& argument) {
    std::vector<std::string> labels;
    const auto results = read_results({argument});
    for (const auto& result : results.throughput) {
      labels.push_back(result.name());
    }
    return labels;
  };
  const auto two = write_json(folder, "two.json",
                              R"({"command":"benchmark","records":[)" + record("a", "\"dense\"") +
                                  "," + record("b", "null") + "]}");
  EXPECT_THAT(names(two), ElementsAre("dense", "b"));
  EXPECT_THAT(names("laptop=" + two), ElementsAre("dense (laptop)", "b (laptop)"));
  const auto one = write_json(folder, "one.json",
                              R"({"command":"benchmark","records":[)" + record("a", "\"dense\"") +
                                  "," + record("a", "\"dense\"") + "]}");
  EXPECT_THAT(names("mine=" + one), ElementsAre("mine", "mine"));
}

TEST(ResultJson, ReadsEvaluations) {
  const TemporaryFolder folder;
  const auto path = write_json(folder, "e.json", R"({"command":"eval","examples":40,"top1":0.75,
      "options":{"dataset":"cifar10"},"classes":["cat","dog","owl"],
      "class_accuracy":[0.5,null,0.875],
      "calibration":[{"examples":30,"confidence":0.6,"accuracy":0.7}]})");
  const auto scores = read_results({path}).evaluations;
  ASSERT_THAT(scores, SizeIs(1));
  EXPECT_EQ(scores[0].top1, 0.75);
  EXPECT_EQ(scores[0].data_set, "cifar10");
  EXPECT_TRUE(std::isnan(scores[0].loss));
  ASSERT_THAT(scores[0].class_accuracy, SizeIs(2));
  EXPECT_EQ(scores[0].class_accuracy[1].first, "owl");
  EXPECT_EQ(scores[0].class_accuracy[1].second, 0.875);
  EXPECT_EQ(scores[0].calibration.at(0).accuracy, 0.7);
}

TEST(ResultJson, ReadsPredictionsAndSkipsUnreadableImages) {
  const TemporaryFolder folder;
  const auto path = write_json(folder, "p.json", R"({"command":"predict","images":[
      {"image":"a.png","predictions":[{"class":3,"name":"bag","probability":0.75}]},
      {"image":"b.png","error":"b.png: truncated"}]})");
  const auto predictions = read_results({path}).predictions;
  ASSERT_THAT(predictions, SizeIs(1));
  EXPECT_EQ(predictions[0].guesses.at(0).label, "bag");
}

TEST(ResultJson, FindsDispatchMapsBesideItself) {
  const TemporaryFolder folder;
  write_text_file(folder / "maps/block_3.png", "x");
  const std::string text = R"({"command":"inspect","options":{"output":"maps"},
      "sheets":[{"file":"block_3.png","title":"Block 3"}],
      "layers":[{"block":3,"experts":4,"similarity":0.5,"name":"text"}]})";
  const auto maps = read_results({write_json(folder, "i.json", text)}).dispatch_maps;
  ASSERT_THAT(maps, SizeIs(1));
  EXPECT_EQ(maps[0].sheets.at(0).file, (folder / "maps/block_3.png").string());
  EXPECT_THAT(maps[0].layers.at(0),
              ElementsAre(Pair("block", 3), Pair("experts", 4), Pair("similarity", 0.5)));
  std::filesystem::remove(folder / "maps/block_3.png");
  EXPECT_THAT([&] { read_results({(folder / "i.json").string()}); },
              ThrowsMessage<InputError>(HasSubstr("i.json: sheets[0].file")));
}

TEST(ResultJson, NamesFileAndFieldOfWhatIsWrong) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& text) -> std::string {
    const auto path = write_json(folder, "r.json", text);
    try {
      read_results({path});
    } catch (const InputError& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with(path)) << message;
      EXPECT_EQ(message.find('\n'), std::string::npos);
      return message.substr(path.size());
    }
    return "no error";
  };
  EXPECT_EQ(error_of("{\"command\":\"eval\", \"top1\": 0."),
            ": expected JSON, found text that breaks off after 29 bytes");
  EXPECT_EQ(error_of("{\"command\"; 3}"), ": expected JSON, found a syntax error at byte 11");
  EXPECT_EQ(error_of(""), ": expected JSON, found text that breaks off after 0 bytes");
  EXPECT_EQ(error_of("[1]"), ": expected an object with 'command', found array");
  EXPECT_EQ(error_of("{}"), ": expected a field 'command', found none");
  EXPECT_EQ(error_of("{\"command\":7}"), ": command: expected text, found 7");
  EXPECT_THAT(error_of("{\"command\":\"models\"}"),
              AllOf(HasSubstr(": command: expected one of fewshot, "), HasSubstr("'models'")));
  EXPECT_EQ(error_of(R"({"command":"benchmark","records":[{"model":"m","mode":"infer",
      "dtype":"fp32","batch_size":2.5}]})"),
            ": records[0].batch_size: expected an integer, found 2.5");
  EXPECT_EQ(error_of(R"({"command":"fewshot","name":"d","results":[{"shots":1}]})"),
            ": results[0]: expected a field 'accuracy_mean', found none");
  EXPECT_EQ(error_of(R"({"command":"eval","top1":"high"})"),
            ": top1: expected a number, found \"high\"");
  EXPECT_EQ(error_of(R"({"command":"eval","top1":1,"classes":["a","b"],"class_accuracy":[1]})"),
            ": class_accuracy: expected 2 values as in classes, found 1");
  EXPECT_THAT(error_of(R"({"command":"train","run_folder":"gone"})"),
              HasSubstr(": run_folder: expected a file or folder beside "));
}

TEST(ResultFiles, NamesAMissingInput) {
  EXPECT_THAT([] { read_results({"/nowhere/run"}); },
              ThrowsMessage<InputError>(HasSubstr("/nowhere/run: expected a run folder")));
}

TEST(ResultFiles, DataSetsAreNamedByFolderWhereTheSourceSaysLittle) {
  EXPECT_EQ(data_set_name({{"dataset", "folder"}, {"data-dir", "/data/birds/"}}), "birds");
  EXPECT_EQ(data_set_name({{"dataset", "folder"}, {"data-dir", ""}}), "folder");
  EXPECT_EQ(data_set_name({{"dataset", "cifar10"}, {"data-dir", "/data/x"}}), "cifar10");
  EXPECT_EQ(data_set_name(Json()), "");
}

}  // namespace
}  // namespace softmoe::report
