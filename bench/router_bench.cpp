// Time of training steps with each router, all in turn in one process.
//
//     router_bench [table] [curve] [--layers 32x6 128x1 128x2] [--routers NAME ...] [--batch 32]
//                  [--experts 8 64 4096] [--rounds 3] [--json FILE] [--svg FILE]
//
// `table` compares all routers inside ViT-S/16 with the dense model of equal GFLOP; `curve` shows
// how one layer's time grows with the number of experts. Without either, both.

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "bench/router_curve.h"
#include "bench/router_table.h"
#include "bench/run_bench.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "ops/processor_level.h"
#include "runtime/machine.h"

namespace softmoe {
namespace {

struct BenchOptions {
  std::set<std::string> parts{};
  RouterTableOptions table{};
  RouterCurveOptions curve{};
  std::string json{};
  std::string svg{};
};

TableLayer parse_layer(const std::string& word) {
  const auto cross = word.find('x');
  if (cross == std::string::npos) {
    throw UsageError("layers", "EXPERTSxSLOTS", "'" + word + "'");
  }
  return {std::stoll(word.substr(0, cross)), std::stoll(word.substr(cross + 1))};
}

/// The values that follow each flag, "" for those before the first one.
std::vector<std::pair<std::string, std::vector<std::string>>> split(int argc, char** argv) {
  std::vector<std::pair<std::string, std::vector<std::string>>> flags{{"", {}}};
  for (int index = 1; index < argc; ++index) {
    const std::string word = argv[index];
    if (word.starts_with("--")) {
      flags.emplace_back(word.substr(2), std::vector<std::string>{});
    } else {
      flags.back().second.push_back(word);
    }
  }
  return flags;
}

BenchOptions parse(int argc, char** argv) {
  BenchOptions options;
  for (const auto& [flag, values] : split(argc, argv)) {
    if (flag.empty()) {
      options.parts = {values.begin(), values.end()};
    } else if (values.empty()) {
      throw UsageError(flag, "a value", "none");
    } else if (flag == "layers") {
      options.table.layers.clear();
      for (const auto& value : values) {
        options.table.layers.push_back(parse_layer(value));
      }
    } else if (flag == "routers") {
      options.table.routers = values;
      options.curve.routers = values;
    } else if (flag == "experts") {
      options.curve.experts.clear();
      for (const auto& value : values) {
        options.curve.experts.push_back(std::stoll(value));
      }
    } else if (flag == "batch") {
      options.table.batch = std::stoll(values.front());
    } else if (flag == "rounds") {
      options.table.rounds = options.curve.rounds = std::stoll(values.front());
    } else if (flag == "json") {
      options.json = values.front();
    } else if (flag == "svg") {
      options.svg = values.front();
    } else {
      throw UsageError(flag, "layers, routers, batch, experts, rounds, json or svg", "--" + flag);
    }
  }
  return options;
}

int run(int argc, char** argv) {
  const auto options = parse(argc, argv);
  const auto wants = [&](const char* part) {
    return options.parts.empty() || options.parts.contains(part);
  };
  Json result{{"machine", machine_description(level_name())}};
  if (wants("table")) {
    result["tables"] = measure_router_table(options.table);
  }
  if (wants("curve")) {
    result["curve"] = measure_router_curve(options.curve);
    if (!options.svg.empty()) {
      write_text_file(options.svg, router_curve_svg(result["curve"]));
    }
  }
  if (!options.json.empty()) {
    write_text_file(options.json, json_text(result, 1) + "\n");
  }
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("router_bench", argc, argv, softmoe::run);
}
