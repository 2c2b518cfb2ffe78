#include <fmt/format.h>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "core/device.h"
#include "eval/throughput.h"
#include "eval/vit_subject.h"
#include "train/train_step.h"
#include "vit/zoo.h"

namespace softmoe::cli {
namespace {

struct BenchmarkOptions {
  std::vector<std::string> models{"vit_s16", "softmoe_s16_128e"};
  std::vector<int64_t> img_size;

  bool operator==(const BenchmarkOptions&) const = default;
};

void describe(OptionTable& table, BenchmarkOptions& options) {
  table.add("models", options.models, "models of the zoo, side by side");
  table.add("img-size", options.img_size, "another image size: one number, or height and width",
            {.unit = "px", .min = 1});
}

}  // namespace

void run_benchmark(const std::vector<std::string>& arguments) {
  BenchmarkOptions flags;
  ThroughputOptions options;
  CommandLine line("benchmark",
                   "Throughput of models side by side: they take turns round by round, so that "
                   "what disturbs the machine disturbs all alike.");
  line.add("Models", flags);
  line.add("Measurement", options);
  if (!line.parse(arguments)) {
    return;
  }
  std::vector<ThroughputSubject> subjects;
  for (const auto& name : flags.models) {
    auto model = model_preset(name);
    if (!flags.img_size.empty()) {
      model.img_size = flags.img_size;
    }
    subjects.push_back(vit_subject(name, model, make_train_step));
  }
  const auto records = measure_throughput(subjects, options, parse_device(line.common().device));
  fmt::print("{}", throughput_table(records));
  Json list = Json::array();
  for (const auto& record : records) {
    list.push_back(to_json(record));
  }
  line.write_json({{"records", list}});
}

}  // namespace softmoe::cli
