#include <fmt/format.h>

#include <map>

#include "benchmark/throughput.h"
#include "benchmark/vit_subject.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/model_flags.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/text_format.h"
#include "inference/inference_model.h"
#include "runtime/machine.h"
#include "train/model_update.h"
#include "train/optimizers.h"
#include "train/scaling_plan.h"
#include "vit/cost.h"

namespace softmoe::cli {
namespace {

struct BenchmarkOptions {
  std::vector<std::string> models{"vit_s16", "softmoe_s16_128e"};
  std::vector<std::string> labels;
  bool plan = false;

  bool operator==(const BenchmarkOptions&) const = default;
};

void describe(OptionTable& table, BenchmarkOptions& options) {
  table.add("models", options.models, "models of the zoo, side by side");
  table.add("labels", options.labels,
            "names of the models in a report, in their order; none: their names in the zoo");
  table.add("plan", options.plan,
            "measure nothing, but compute what training takes on many devices: memory, bytes "
            "between processes, time");
}

/// Prediction as other commands do it, or by the modules for float16, which those do not have.
std::function<torch::Tensor(const torch::Tensor&)> make_inference(VisionTransformer model,
                                                                  Precision precision) {
  if (precision == Precision::kFloat16) {
    return [model](const torch::Tensor& images) mutable { return model->forward(images); };
  }
  const auto packed = std::make_shared<InferenceModel>(std::move(model), precision);
  return [packed](const torch::Tensor& images) { return packed->forward(images); };
}

/// Throws UsageError if options of a plan are given without one.
void check_plan_options(const CommandLine& line, ScalingOptions& scaling, bool plans) {
  OptionTable table;
  describe(table, scaling);
  for (const auto& field : table.fields()) {
    if (!plans && line.given(field.name())) {
      throw UsageError("--" + field.name(), "--plan beside it", "none");
    }
  }
}

void print_plans(const CommandLine& line, const std::vector<std::string>& models,
                 const OptimizerOptions& optimizer, const ScalingOptions& scaling) {
  RunOptions run;
  run.optimizer = optimizer;
  Json plans = Json::array();
  for (const auto& name : models) {
    const auto model = changed_model(line, name);
    const auto rows = plan_scaling(model, run, scaling);
    print_line("{}: {} parameters, {:.1f} GFLOP/img, updates of {} images", name,
               format_count(static_cast<double>(model_cost(model).parameters())),
               model_cost(model).gflop, scaling.batch_size);
    print_text(scaling_table(rows, scaling.batch_size));
    Json list = Json::array();
    for (const auto& row : rows) {
      list.push_back(to_json(row));
    }
    plans.push_back({{"model", name}, {"rows", std::move(list)}});
  }
  line.write_json({{"plans", std::move(plans)}});
}

}  // namespace

void run_benchmark(const std::vector<std::string>& arguments) {
  BenchmarkOptions flags;
  ThroughputOptions options;
  OptimizerOptions optimizer;
  ScalingOptions scaling;
  VitOptions parts;
  CommandLine line("benchmark",
                   "Throughput of models side by side. They take turns round by round, so that "
                   "other load on the machine disturbs all of them equally.");
  line.add("Models", flags);
  line.add_operand("models", /*required=*/false);
  line.add("Measurement", options);
  line.add("Optimizer of training steps", optimizer);
  line.add("Devices of a plan", scaling);
  line.add_overrides("Parts of every model; those not given stay as they are", parts);
  if (!line.parse(arguments)) {
    return;
  }
  if (!flags.labels.empty() && flags.labels.size() != flags.models.size()) {
    throw UsageError("--labels", fmt::format("one for each of {} models", flags.models.size()),
                     std::to_string(flags.labels.size()));
  }
  fit_optimizer(optimizer, line.given_names());
  check_plan_options(line, scaling, flags.plan);
  if (flags.plan) {
    print_plans(line, flags.models, optimizer, scaling);
    return;
  }
  const auto train_step = [&optimizer](VisionTransformer model, torch::Dtype dtype) {
    return make_train_step(std::move(model), dtype, optimizer);
  };
  std::map<std::string, std::string> label_of;
  std::vector<ThroughputSubject> subjects;
  for (size_t i = 0; i < flags.models.size(); ++i) {
    const auto& name = flags.models[i];
    label_of[name] = flags.labels.empty() ? name : flags.labels[i];
    const auto model = changed_model(line, name);
    subjects.push_back(vit_subject(name, model, train_step, make_inference));
  }
  const auto machine = machine_description(line.isa());
  print_line("{}, {} threads, kernels of level {}", machine.at("processor").get<std::string>(),
             machine.at("threads").get<int64_t>(), line.isa());
  const auto [records, left_out] = measure_throughput(subjects, options, line.device());
  print_text(throughput_table(records) + left_out_text(left_out));
  const auto labelled = [&label_of](const auto& cases) {
    Json list = Json::array();
    for (const auto& item : cases) {
      list.push_back(to_json(item));
      list.back()["label"] = label_of.at(item.model);
    }
    return list;
  };
  line.write_json({{"records", labelled(records)}, {"left_out", labelled(left_out)}});
}

}  // namespace softmoe::cli
