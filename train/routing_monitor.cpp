#include "train/routing_monitor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace softmoe {
namespace {

/// Max number of experts that a warning names.
constexpr size_t kMaxNamed = 16;

std::vector<double> numbers_of(const torch::Tensor& tensor) {
  const auto plain = tensor.detach().to(torch::kCPU, torch::kFloat64).contiguous();
  const auto* const data = plain.const_data_ptr<double>();
  return {data, data + plain.numel()};
}

void add_to(std::vector<double>& sums, const std::vector<double>& numbers) {
  sums.resize(numbers.size(), 0.0);
  std::transform(sums.begin(), sums.end(), numbers.begin(), sums.begin(), std::plus<>());
}

/// The exponential of the entropy of `shares`, which are made to sum to 1.
double effective_number(const std::vector<double>& shares) {
  const double sum = std::reduce(shares.begin(), shares.end());
  double entropy = 0.0;
  for (const double share : shares) {
    const double part = sum > 0.0 ? share / sum : 0.0;
    entropy -= part > 0.0 ? part * std::log(part) : 0.0;
  }
  return std::exp(entropy);
}

std::string warning(int64_t block, const std::vector<int64_t>& experts, int64_t since,
                    int64_t step) {
  const size_t named = std::min(experts.size(), kMaxNamed);
  const std::vector<int64_t> first(experts.begin(), experts.begin() + static_cast<int64_t>(named));
  return fmt::format(
      "warning: block {}: expert{} {}{} got no token in any record from update {} to {}", block,
      experts.size() == 1 ? "" : "s", fmt::join(first, ", "),
      experts.size() > named ? fmt::format(" and {} more", experts.size() - named) : "", since,
      step);
}

}  // namespace

std::map<std::string, double> RecordedRouting::summary() const {
  std::map<std::string, double> values;
  if (!load.empty()) {
    values["max_load"] = *std::max_element(load.begin(), load.end());
    values["min_load"] = *std::min_element(load.begin(), load.end());
    values["idle_experts"] = static_cast<double>(std::count(load.begin(), load.end(), 0.0));
    values["dropped"] = dropped;
    values["entropy"] = entropy;
  }
  if (!importance.empty()) {
    values["max_importance"] = *std::max_element(importance.begin(), importance.end());
    values["min_importance"] = *std::min_element(importance.begin(), importance.end());
    values["effective_experts"] = effective_number(importance);
  }
  values.insert(mixing.begin(), mixing.end());
  for (const auto& [name, value] : losses) {
    values[name + "_loss"] = value;
  }
  return values;
}

Json to_json(const ModelRouting& routing) {
  Json json = Json::object();
  for (const auto& [block, layer] : routing) {
    json[fmt::format("block{}", block)] = layer.summary();
  }
  return json;
}

Json mean_over_layers(const Json& layers) {
  std::map<std::string, std::pair<double, int64_t>> sums;
  for (const auto& layer : layers) {
    for (const auto& [name, value] : layer.items()) {
      sums[name].first += value.get<double>();
      ++sums[name].second;
    }
  }
  Json means = Json::object();
  for (const auto& [name, sum] : sums) {
    means[name] = sum.first / static_cast<double>(sum.second);
  }
  return means;
}

void RoutingMonitor::add(const ExpertLoads& loads, const BlockValues& losses) {
  ++batches_;
  for (const auto& [block, load] : loads) {
    if (!load.load.defined()) {
      continue;
    }
    auto& sum = sums_[block];
    add_to(sum.load, numbers_of(load.load));
    add_to(sum.importance, numbers_of(load.importance));
    sum.dropped += load.dropped.item<double>();
    sum.entropy += load.entropy.item<double>();
    for (const auto& [name, value] : load.mixing.values()) {
      sum.mixing[name] += value.item<double>();
    }
  }
  for (const auto& [block, values] : losses) {
    for (const auto& [name, value] : values) {
      sums_[block].losses[name] += value.item<double>();
    }
  }
}

ModelRouting RoutingMonitor::finish(int64_t step, std::vector<std::string>& warnings) {
  auto routing = std::exchange(sums_, {});
  const double share = 1.0 / static_cast<double>(std::max<int64_t>(1, std::exchange(batches_, 0)));
  for (auto& [block, layer] : routing) {
    for (auto* numbers : {&layer.load, &layer.importance}) {
      for (auto& number : *numbers) {
        number *= share;
      }
    }
    layer.dropped *= share;
    layer.entropy *= share;
    for (auto* values : {&layer.losses, &layer.mixing}) {
      for (auto& [name, value] : *values) {
        value *= share;
      }
    }
    watch(block, layer.load, step, warnings);
  }
  return routing;
}

void RoutingMonitor::watch(int64_t block, const std::vector<double>& load, int64_t step,
                           std::vector<std::string>& warnings) {
  auto& idle = idle_[block];
  std::vector<int64_t> fresh;
  int64_t since = step;
  for (int64_t expert = 0; expert < std::ssize(load); ++expert) {
    if (load[static_cast<size_t>(expert)] > 0.0) {
      idle.erase(expert);
      continue;
    }
    auto& state = idle.try_emplace(expert, Idle{.since = step}).first->second;
    if (!state.warned && idle_steps_ > 0 && step - state.since >= idle_steps_) {
      state.warned = true;
      fresh.push_back(expert);
      since = std::min(since, state.since);
    }
  }
  if (!fresh.empty()) {
    warnings.push_back(warning(block, fresh, since, step));
  }
}

Json RoutingMonitor::state() const {
  Json json = Json::array();
  for (const auto& [block, experts] : idle_) {
    for (const auto& [expert, idle] : experts) {
      json.push_back(
          {{"block", block}, {"expert", expert}, {"since", idle.since}, {"warned", idle.warned}});
    }
  }
  return json;
}

void RoutingMonitor::load_state(const Json& state) {
  idle_.clear();
  for (const auto& entry : state) {
    idle_[entry.at("block")][entry.at("expert")] = {.since = entry.at("since"),
                                                    .warned = entry.at("warned")};
  }
}

}  // namespace softmoe
