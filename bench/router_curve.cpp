#include "bench/router_curve.h"

#include <fmt/format.h>
#include <torch/types.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "benchmark/throughput.h"
#include "core/table.h"
#include "core/text_format.h"
#include "ops/initialization.h"
#include "report/line_chart.h"
#include "report/page_style.h"
#include "report/svg_parts.h"
#include "runtime/autocast_guard.h"
#include "softmoe/moe_layer.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

/// Bytes a millisecond that all threads together read from and write to memory.
struct Bandwidth {
  double read = 0.0;
  double write = 0.0;
};

Bandwidth measure_bandwidth() {
  constexpr int64_t kValues = int64_t{1} << 28;  // 1 GiB, far beyond the caches
  auto memory = torch::ones({kValues});
  constexpr auto kBytes = static_cast<double>(4 * kValues);
  Bandwidth best;
  for (int run = 0; run < 4; ++run) {
    auto start = Clock::now();
    TORCH_CHECK(memory.sum().item<float>() > 0);
    best.read = std::max(best.read, kBytes / milliseconds_since(start));
    start = Clock::now();
    memory.fill_(1.0);
    best.write = std::max(best.write, kBytes / milliseconds_since(start));
  }
  return best;
}

MoeLayerOptions layer_of(const RouterCurveOptions& options, const std::string& router,
                         int64_t experts) {
  MoeLayerOptions layer;
  layer.dim = options.dim;
  layer.hidden_dim = options.hidden_dim;
  layer.tokens = options.tokens;
  layer.moe.router = router;
  layer.moe.experts = experts;
  layer.moe.slots_per_expert = options.slots / experts;
  layer.moe.sparse.top_k = options.slots / options.tokens;
  // Tokens choice multiplies its capacity by the experts of a token.
  layer.moe.capacity_factor =
      router == "experts_choice" ? static_cast<double>(layer.moe.sparse.top_k) : 1.0;
  return layer;
}

/// The layers of one number of experts, one a router, with the same experts.
std::vector<MoeLayer> layers_of(const RouterCurveOptions& options, int64_t experts) {
  at::manual_seed(3);
  std::vector<MoeLayer> layers;
  for (const auto& router : options.routers) {
    auto sizes = layer_of(options, router, experts);
    if (layers.empty()) {
      layers.emplace_back(sizes);
      continue;
    }
    auto layer = [&] {
      const SkipInitialization skip;
      return MoeLayer(sizes);
    }();
    sizes.hidden_dim = 1;  // only its router is of interest
    const auto donor = MoeLayer(sizes);
    const torch::NoGradGuard no_grad;
    auto own = layer->named_parameters();
    for (auto& item : own) {
      if (item.key().starts_with("router.")) {
        item.value().copy_(donor->named_parameters()[item.key()]);
      } else {
        item.value().set_data(layers.front()->named_parameters()[item.key()]);
      }
    }
    layers.push_back(layer);
  }
  return layers;
}

/// Milliseconds of forward and backward.
double step_time(MoeLayer& layer, const torch::Tensor& tokens, const torch::Tensor& d_out) {
  const auto x = tokens.detach().requires_grad_();  // [batch, tokens, dim]
  const auto start = Clock::now();
  {
    const AutocastGuard autocast(torch::kCPU, torch::kBFloat16);
    const auto out = layer->forward(x);  // [batch, tokens, dim]
    out.backward(d_out.to(out.dtype()));
  }
  const double time = milliseconds_since(start);
  TORCH_CHECK(x.grad().isfinite().all().item<bool>(), "router_bench: gradients are not finite");
  layer->zero_grad();
  return time;
}

/// What the weights need at least: read forward, read backward, gradients written.
double memory_bound(const MoeLayer& layer, const Bandwidth& bandwidth) {
  double bytes = 0;
  for (const auto& parameter : layer->experts->parameters()) {
    bytes += static_cast<double>(parameter.nbytes());
  }
  return 2 * bytes / bandwidth.read + bytes / bandwidth.write;
}

Json measure_point(const RouterCurveOptions& options, int64_t experts, const Bandwidth& bandwidth) {
  auto layers = layers_of(options, experts);
  const auto tokens = torch::randn({options.batch, options.tokens, options.dim});
  const auto d_out = torch::randn_like(tokens);
  std::vector<std::vector<double>> times(layers.size());
  for (int64_t round = 0; round < options.rounds; ++round) {
    for (size_t index = 0; index < layers.size(); ++index) {
      step_time(layers[index], tokens, d_out);  // finds the memory of another router
      times[index].push_back(step_time(layers[index], tokens, d_out));
    }
  }
  Json point{{"experts", experts},
             {"bound_ms", memory_bound(layers.front(), bandwidth)},
             {"parameters", experts * 2 * options.dim * options.hidden_dim}};
  for (size_t index = 0; index < layers.size(); ++index) {
    point["ms"][options.routers[index]] = times[index];
  }
  return point;
}

/// The keys of the series below the chart.
std::string legend_svg(const std::vector<report::Series>& series) {
  std::string svg;
  double x = 12;
  for (const auto& line : series) {
    svg += fmt::format(
        R"svg(<g transform="translate({:.0f} 308)">{}<text x="32" y="10">{}</text></g>)svg", x,
        report::legend_marker_svg(line.color), report::escape_html(line.label));
    x += 46 + 6.7 * static_cast<double>(line.label.size());
  }
  return svg;
}

}  // namespace

Json measure_router_curve(const RouterCurveOptions& options) {
  const auto bandwidth = measure_bandwidth();
  std::vector<std::string> headings{"experts", "parameters"};
  for (const auto& router : options.routers) {
    headings.push_back(router + " ms");
  }
  headings.emplace_back("memory bound ms");
  TextTable table(headings);
  Json points = Json::array();
  for (const int64_t experts : options.experts) {
    const auto point = measure_point(options, experts, bandwidth);
    std::vector<std::string> cells{std::to_string(experts),
                                   format_count(point["parameters"].get<int64_t>())};
    for (const auto& router : options.routers) {
      const auto spread = spread_of(point["ms"][router].get<std::vector<double>>());
      cells.push_back(
          fmt::format("{:.0f} ({:.0f}-{:.0f})", spread.median, spread.minimum, spread.maximum));
    }
    cells.push_back(fmt::format("{:.0f}", point["bound_ms"].get<double>()));
    table.add_row(cells);
    points.push_back(point);
  }
  fmt::print(
      "\none layer, dim {}, hidden {}, batch {} of {} tokens, {} expert rows an image; memory "
      "reads "
      "{:.1f} GB/s, writes {:.1f} GB/s\n{}",
      options.dim, options.hidden_dim, options.batch, options.tokens, options.slots,
      bandwidth.read / 1e6, bandwidth.write / 1e6, table.text());
  std::fflush(stdout);
  return {{"dim", options.dim},
          {"hidden_dim", options.hidden_dim},
          {"batch", options.batch},
          {"tokens", options.tokens},
          {"slots", options.slots},
          {"read_gb_per_s", bandwidth.read / 1e6},
          {"write_gb_per_s", bandwidth.write / 1e6},
          {"routers", options.routers},
          {"points", points}};
}

std::string router_curve_svg(const Json& curve) {
  report::LineChart chart;
  chart.name = "Step time of a MoE layer by number of experts";
  chart.x = {.title = "experts", .logarithmic = true};
  chart.y = {.title = "forward and backward (ms)", .from_zero = true};
  chart.value_decimals = 0;
  int color = 0;
  for (const auto& router : curve["routers"]) {
    report::Series series{.label = router.get<std::string>(), .color = color++, .points = {}};
    for (const auto& point : curve["points"]) {
      const auto spread = spread_of(point["ms"][series.label].get<std::vector<double>>());
      series.points.push_back({.x = point["experts"].get<double>(),
                               .y = spread.median,
                               .low = spread.minimum,
                               .high = spread.maximum});
      chart.x.ticks.push_back(point["experts"].get<double>());
    }
    chart.series.push_back(series);
  }
  chart.x.ticks.resize(curve["points"].size());
  report::Series bound{
      .label = "weights through memory", .color = report::kNeutralColor, .points = {}};
  for (const auto& point : curve["points"]) {
    bound.points.push_back(
        {.x = point["experts"].get<double>(), .y = point["bound_ms"].get<double>()});
  }
  chart.series.push_back(bound);
  return fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 460 330">)"
      "<style>{}</style>"
      R"svg(<rect width="460" height="330" fill="var(--page)"/>)svg"
      R"(<svg width="460" height="300">{}</svg>{}</svg>)"
      "\n",
      report::page_style(), report::line_chart_svg(chart), legend_svg(chart.series));
}

}  // namespace softmoe
