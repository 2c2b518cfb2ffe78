#include "benchmark/throughput_record.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/table.h"
#include "core/text_format.h"

namespace softmoe {
namespace {

Json to_json(const Spread& spread) {
  return {{"median", spread.median}, {"minimum", spread.minimum}, {"maximum", spread.maximum}};
}

/// Three significant digits, without an exponent.
std::string short_number(double value) {
  const int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  TORCH_CHECK_VALUE(!values.empty(), "spread_of: expected values, found none");
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
  return {.median = median, .minimum = values.front(), .maximum = values.back()};
}

Spread ThroughputRecord::milliseconds() const {
  std::vector<double> values;
  for (const double rate : images_per_second) {
    values.push_back(1000.0 / rate);
  }
  return spread_of(values);
}

Json to_json(const ThroughputRecord& record) {
  Json json;
  json["model"] = record.model;
  json["mode"] = enum_name(record.mode);
  json["batch_size"] = record.batch_size;
  json["dtype"] = enum_name(record.precision);
  json["device"] = record.device;
  json["images_per_second"] = to_json(record.rate());
  json["ms_per_image"] = to_json(record.milliseconds());
  json["peak_memory_bytes"] = record.peak_memory_bytes;
  json["parameters"] = record.parameters;
  json["gflop"] = record.gflop;
  json["gflops"] = record.gflops();
  json["matmul_peak_gflops"] = record.matmul_peak_gflops;
  json["matmul_share"] = record.matmul_share();
  json["ratio_to_baseline"] = record.ratio ? Json(*record.ratio) : Json(nullptr);
  json["interleaved"] = record.interleaved;
  json["iterations"] = record.iterations;
  json["rounds"] = record.images_per_second;
  return json;
}

Json to_json(const LeftOutCase& left_out) {
  return {{"model", left_out.model},
          {"mode", enum_name(left_out.mode)},
          {"batch_size", left_out.batch_size},
          {"dtype", enum_name(left_out.precision)},
          {"reason", left_out.reason}};
}

std::string left_out_text(const std::vector<LeftOutCase>& left_out) {
  std::string text;
  for (const auto& item : left_out) {
    text +=
        fmt::format("Left out: {}, {} in {}, batch size {}: {}\n", item.model, enum_name(item.mode),
                    enum_name(item.precision), item.batch_size, item.reason);
  }
  return text;
}

std::string throughput_table(const std::vector<ThroughputRecord>& records) {
  TextTable table({"model", "mode", "dtype", "batch", "img/s", "min-max", "ms/img", "GFLOP/img",
                   "GFLOP/s", "of peak", "memory", "params", "ratio"});
  bool alone = false;
  for (const auto& record : records) {
    const auto rate = record.rate();
    table.add_row({record.model, enum_name(record.mode), enum_name(record.precision),
                   std::to_string(record.batch_size), short_number(rate.median),
                   short_number(rate.minimum) + "-" + short_number(rate.maximum),
                   short_number(record.milliseconds().median), short_number(record.gflop),
                   short_number(record.gflops()),
                   fmt::format("{:.0f} %", 100 * record.matmul_share()),
                   format_bytes(record.peak_memory_bytes), format_count(record.parameters),
                   record.ratio ? short_number(*record.ratio) : "-"});
    alone = alone || !record.interleaved;
  }
  return table.text() + (alone ? "Not interleaved: one model was in memory at a time.\n" : "");
}

}  // namespace softmoe
