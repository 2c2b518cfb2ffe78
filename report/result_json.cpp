#include "report/result_json.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <set>

#include "core/error.h"
#include "report/json_node.h"
#include "report/number_text.h"
#include "report/run_folder_reader.h"

namespace softmoe::report {
namespace {

namespace fs = std::filesystem;

/// A `--json` file that is being read.
struct Document {
  JsonNode root;
  fs::path path;
  std::string given_label;  ///< by the user; may be empty
  std::string label;        ///< never empty
  Json options;
};

FewShotPoint few_shot_point(const JsonNode& node) {
  return {.shots = node.at("shots").integer(),
          .lambda = node.number_or("lambda", kMissing),
          .accuracy = node.at("accuracy_mean").number(),
          .deviation = node.number_or("accuracy_std", kMissing)};
}

/// The scores of one pair of sets: one curve per lambda.
void read_few_shot_set(const Document& document, const JsonNode& node, Results& results) {
  const auto label =
      document.given_label.empty() ? node.text_or("label", document.label) : document.given_label;
  const auto data_set = node.text_or("name", data_set_name(document.options));
  const auto selected = node.find("lambda_selected_on_test");
  std::vector<FewShotPoint> points;
  std::map<int64_t, int64_t> scores_of_shots;
  bool has_several = false;
  for (const auto& item : node.at("results").items()) {
    points.push_back(few_shot_point(item));
    has_several = ++scores_of_shots[points.back().shots] > 1 || has_several;
  }
  std::map<double, FewShotCurve> curves;
  for (const auto& point : points) {
    const double key = has_several ? point.lambda : 0.0;
    auto& curve = curves[key];
    curve.label = label + (has_several ? fmt::format(" (\u03bb = {:g})", point.lambda) : "");
    curve.data_set = data_set;
    curve.lambda_selected_on_test = selected && selected->boolean();
    curve.points.push_back(point);
  }
  for (auto& [key, curve] : curves) {
    std::sort(curve.points.begin(), curve.points.end(),
              [](const auto& a, const auto& b) { return a.shots < b.shots; });
    results.few_shot.push_back(std::move(curve));
  }
}

/// The objects with `key`: the elements of a list of sets, or the document itself.
std::vector<JsonNode> sets_with(const Document& document, const std::string& wanted) {
  std::vector<JsonNode> sets;
  for (const auto& [key, value] : document.root.value().items()) {
    const auto is_set = [&](const Json& item) { return item.is_object() && item.contains(wanted); };
    if (value.is_array() && !value.empty() && is_set(value.front())) {
      for (const auto& item : document.root.at(key).items()) {
        sets.push_back(item);
      }
    }
  }
  return sets.empty() ? std::vector{document.root} : sets;
}

void read_few_shot(const Document& document, Results& results) {
  for (const auto& node : sets_with(document, "results")) {
    read_few_shot_set(document, node, results);
  }
}

/// The score of `node` by `method` on the features and the data set of `set`.
ProbeScore probe_score(const Document& document, const JsonNode& set, const JsonNode& node,
                       const std::string& method) {
  return {.label = document.label,
          .data_set = set.text_or("name", data_set_name(document.options)),
          .method = method,
          .examples = set.number_or("test_examples", set.number_or("examples", kMissing)),
          .top1 = node.at("top1").number(),
          .top5 = node.number_or("top5", kMissing)};
}

void read_knn(const Document& document, Results& results) {
  for (const auto& set : sets_with(document, "results")) {
    for (const auto& node : set.at("results").items()) {
      results.probes.push_back(
          probe_score(document, set, node, fmt::format("{}-NN", node.at("k").integer())));
    }
  }
}

void read_probe(const Document& document, Results& results) {
  for (const auto& set : sets_with(document, "train_examples")) {
    results.probes.push_back(probe_score(document, set, set, "linear"));
  }
}

Measured measured(const JsonNode& node) {
  return {.median = node.at("median").number(),
          .minimum = node.number_or("minimum", kMissing),
          .maximum = node.number_or("maximum", kMissing)};
}

/// The name of a record's model. A label from the user names the model if the file has one model,
/// else the file.
std::string label_of_record(const Document& document, const JsonNode& node, bool is_only_model) {
  const auto own = node.text_or("label", node.at("model").text());
  return document.given_label.empty() ? own
         : is_only_model              ? document.given_label
                                      : fmt::format("{} ({})", own, document.given_label);
}

void read_benchmark(const Document& document, Results& results) {
  const auto records = document.root.at("records").items();
  std::set<std::string> models;
  for (const auto& node : records) {
    models.insert(node.at("model").text());
  }
  for (const auto& node : records) {
    const auto interleaved = node.find("interleaved");
    const auto milliseconds = node.find("ms_per_image");
    results.throughput.push_back(
        {.model = node.at("model").text(),
         .label = label_of_record(document, node, models.size() == 1),
         .mode = node.at("mode").text(),
         .dtype = node.at("dtype").text(),
         .batch_size = node.at("batch_size").integer(),
         .images_per_second = measured(node.at("images_per_second")),
         .milliseconds_per_image = milliseconds ? measured(*milliseconds).median : kMissing,
         .gflop = node.number_or("gflop", kMissing),
         .matmul_share = node.number_or("matmul_share", kMissing),
         .ratio = node.number_or("ratio_to_baseline", kMissing),
         .parameters = node.number_or("parameters", kMissing),
         .peak_memory_bytes = node.number_or("peak_memory_bytes", kMissing),
         .interleaved = !interleaved || interleaved->boolean()});
  }
  if (const auto left_out = document.root.find("left_out")) {
    for (const auto& node : left_out->items()) {
      results.left_out.push_back({.name = node.text_or("label", node.at("model").text()),
                                  .mode = node.at("mode").text(),
                                  .dtype = node.at("dtype").text(),
                                  .batch_size = node.at("batch_size").integer(),
                                  .reason = node.at("reason").text()});
    }
  }
}

/// `class_accuracy`, or `average_precision` of a multi-label set, with the names in `classes`;
/// classes without images are left out.
std::vector<std::pair<std::string, double>> class_accuracies(const JsonNode& root) {
  std::vector<std::pair<std::string, double>> accuracies;
  const auto list = root.find(root.find("class_accuracy") ? "class_accuracy" : "average_precision");
  const auto names = root.find("classes");
  if (!list || !names) {
    return accuracies;
  }
  const auto values = list->items();
  const auto texts = names->items();
  if (values.size() != texts.size()) {
    throw InputError(list->where(), fmt::format("{} values as in classes", texts.size()),
                     std::to_string(values.size()));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i].number())) {
      accuracies.emplace_back(texts[i].text(), values[i].number());
    }
  }
  return accuracies;
}

void read_eval(const Document& document, Results& results) {
  const auto& root = document.root;
  EvalScore score{.label = document.label,
                  .data_set = data_set_name(document.options),
                  .examples = root.number_or("examples", kMissing),
                  .top1 = root.at("top1").number(),
                  .top5 = root.number_or("top5", kMissing),
                  .loss = root.number_or("loss", kMissing),
                  .calibration_error = root.number_or("calibration_error", kMissing),
                  .mean_average_precision = root.number_or("mean_average_precision", kMissing)};
  if (const auto bins = root.find("calibration")) {
    for (const auto& bin : bins->items()) {
      score.calibration.push_back({.confidence = bin.at("confidence").number(),
                                   .accuracy = bin.at("accuracy").number(),
                                   .examples = bin.at("examples").number()});
    }
  }
  score.class_accuracy = class_accuracies(root);
  results.evaluations.push_back(std::move(score));
}

/// Where a file is now that the command of the document called `name`, a path in the folder that
/// the command ran in: at its place relative to the document, if both were moved, or where it was.
std::optional<fs::path> current_place(const Document& document, const fs::path& name) {
  const auto beside = document.path.parent_path();
  const fs::path folder = document.root.text_or("working_folder", "");
  std::vector<fs::path> candidates;
  if (!folder.empty()) {
    const auto written = (folder / option_text(document.options, "json")).parent_path();
    const auto original = (folder / name).lexically_normal();
    candidates = {beside / original.lexically_proximate(written.lexically_normal()), original};
  }
  candidates.push_back(beside / name);
  candidates.push_back(name);
  std::error_code unreadable;
  for (const auto& candidate : candidates) {
    if (fs::exists(candidate, unreadable)) {
      return candidate;
    }
  }
  return std::nullopt;
}

/// A file that the document names, or that the command wrote to its folder `output`.
std::string find_named(const Document& document, const JsonNode& node) {
  const fs::path name = node.text();
  auto found = current_place(document, fs::path(option_text(document.options, "output")) / name);
  found = found ? found : current_place(document, name);
  if (!found) {
    throw InputError(node.where(), "a file or folder beside " + document.path.string(),
                     "no " + name.string());
  }
  return found->string();
}

void read_predict(const Document& document, Results& results) {
  for (const auto& node : document.root.at("images").items()) {
    if (node.find("error")) {
      continue;  // images that could not be read have no labels
    }
    const auto name = node.at("image").text();
    Prediction prediction{.label = document.label,
                          .image = current_place(document, name).value_or(name).string()};
    for (const auto& guess : node.at("predictions").items()) {
      prediction.guesses.push_back(
          {.label = guess.at("name").text(), .probability = guess.at("probability").number()});
    }
    results.predictions.push_back(std::move(prediction));
  }
}

void read_inspect(const Document& document, Results& results) {
  DispatchMaps maps{.label = document.label};
  for (const auto& node : document.root.at("sheets").items()) {
    maps.sheets.push_back({.file = find_named(document, node.at("file")),
                           .title = node.text_or("title", ""),
                           .caption = node.text_or("caption", "")});
  }
  for (const auto& layer : document.root.at("layers").items()) {
    auto& numbers = maps.layers.emplace_back();
    numbers["block"] = static_cast<double>(layer.at("block").integer());
    for (const auto& [name, value] : layer.value().items()) {
      if (value.is_number()) {
        numbers[name] = value.get<double>();
      }
    }
  }
  results.dispatch_maps.push_back(std::move(maps));
}

void read_training(const Document& document, Results& results) {
  auto run =
      read_training_run(find_named(document, document.root.at("run_folder")), document.given_label);
  run.finetuned = document.root.at("command").text() == "finetune";
  if (document.root.find("model")) {
    run.model = model_text(document.root.at("model").text(), document.options);
  }
  run.parameters = document.root.number_or("parameters", kMissing);
  run.gflop = document.root.number_or("gflop", kMissing);
  results.runs.push_back(std::move(run));
}

struct ReaderRow {
  std::string_view command;
  void (*read)(const Document& document, Results& results);
};

constexpr std::array kReaders{
    ReaderRow{"fewshot", read_few_shot},  ReaderRow{"benchmark", read_benchmark},
    ReaderRow{"eval", read_eval},         ReaderRow{"inspect", read_inspect},
    ReaderRow{"predict", read_predict},   ReaderRow{"train", read_training},
    ReaderRow{"finetune", read_training}, ReaderRow{"knn", read_knn},
    ReaderRow{"probe", read_probe},
};

const ReaderRow& reader_for(const JsonNode& command) {
  std::string known;
  for (const auto& row : kReaders) {
    if (row.command == command.text()) {
      return row;
    }
    known += (known.empty() ? "" : ", ") + std::string(row.command);
  }
  throw InputError(command.where(), "one of " + known, "'" + command.text() + "'");
}

}  // namespace

std::string option_text(const Json& options, const std::string& name) {
  const bool is_text =
      options.is_object() && options.contains(name) && options.at(name).is_string();
  return is_text ? options.at(name).get<std::string>() : "";
}

std::string data_set_name(const Json& options) {
  const auto source = option_text(options, "dataset");
  const auto folder =
      fs::path(option_text(options, "data-dir") + "/").parent_path().filename().string();
  if (source == "folder" || source == "hdf5" || source == "idx") {
    return folder.empty() ? source : folder;  // only their names tell what is in them
  }
  return source;
}

void read_result_json(const std::string& path, const std::string& label, Results& results) {
  const auto json = read_json_file(path);
  const JsonNode root(json, path + ": ");
  const auto command = root.at("command");
  const auto& reader = reader_for(command);
  const auto own_label = root.text_or("label", valid_utf8(fs::path(path).stem().string()));
  const Document document{.root = root,
                          .path = path,
                          .given_label = label,
                          .label = label.empty() ? own_label : label,
                          .options = json.value("options", Json::object())};
  reader.read(document, results);
  Provenance provenance{.label = document.label, .path = path, .command = command.text()};
  if (const auto arguments = root.find("arguments")) {
    for (const auto& argument : arguments->items()) {
      provenance.arguments.push_back(argument.text());
    }
  }
  provenance.machine = json.value("machine", Json());
  provenance.options = document.options;
  results.provenance.push_back(std::move(provenance));
}

}  // namespace softmoe::report
