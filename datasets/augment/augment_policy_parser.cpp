#include "datasets/augment/augment_policy_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "core/error.h"
#include "core/read_number.h"
#include "datasets/augment/auto_augment.h"
#include "datasets/augment/rand_augment.h"
#include "datasets/augment/trivial_augment.h"

namespace softmoe {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr double kUniformFrom = 100.0;  // a larger mstd draws magnitudes uniformly

/// A part of a policy's text: a key and a number in [min, max].
struct PartRule {
  std::string_view key;
  double min;
  double max;
  bool is_whole = false;

  std::string allowed() const {
    return fmt::format("{} with a {} from {:g} to {:g}", key, is_whole ? "whole number" : "number",
                       min, max);
  }
};

/// The numbers of the parts that were given, by their keys.
using PartNumbers = std::map<std::string, double, std::less<>>;

double number_or(const PartNumbers& numbers, std::string_view key, double otherwise) {
  const auto found = numbers.find(key);
  return found == numbers.end() ? otherwise : found->second;
}

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == '-') {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

[[noreturn]] void reject(const std::string& text, const std::string& expected,
                         const std::string& part) {
  throw UsageError("aa", expected,
                   fmt::format("'{}' in '{}'", printable_text(part), printable_text(text)));
}

/// Reads `part` by the rule whose key it begins with.
void read_part(const std::string& text, const std::string& part, const std::vector<PartRule>& rules,
               PartNumbers& numbers) {
  const auto letters = std::find_if(part.begin(), part.end(),
                                    [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
  const bool is_infinite = part == "mstdinf";
  const std::string key = is_infinite ? "mstd" : std::string(part.begin(), letters);
  const auto rule = std::find_if(rules.begin(), rules.end(),
                                 [&key](const PartRule& row) { return row.key == key; });
  if (rule == rules.end()) {
    std::string keys;
    for (const auto& row : rules) {
      keys += (keys.empty() ? "" : ", ") + std::string(row.key);
    }
    reject(text, rules.empty() ? "no further parts" : "parts that begin with one of " + keys, part);
  }
  const auto number = is_infinite ? kInfinite : parse_number({letters, part.end()});
  if (!number || *number < rule->min || *number > rule->max ||
      (rule->is_whole && *number != std::floor(*number))) {
    reject(text, rule->allowed(), part);
  }
  if (!numbers.emplace(key, *number).second) {
    reject(text, key + " once", part);
  }
}

PartNumbers read_parts(const std::string& text, const std::vector<std::string>& parts,
                       const std::vector<PartRule>& rules) {
  PartNumbers numbers;
  for (const auto& part : parts) {
    read_part(text, part, rules, numbers);
  }
  return numbers;
}

/// The noise that the number of mstd stands for.
double magnitude_std(const PartNumbers& numbers, double otherwise) {
  const double number = number_or(numbers, "mstd", otherwise);
  return number > kUniformFrom ? kInfinite : number;
}

std::string noise_text(double magnitude_std) {
  if (std::isinf(magnitude_std)) {
    return ",mstd=inf";
  }
  return magnitude_std > 0.0 ? fmt::format(",mstd={:g}", magnitude_std) : "";
}

/// Takes the part that names a set of operations out of `parts`; empty if there is none.
std::string take_set(const std::string& text, std::vector<std::string>& parts) {
  std::vector<std::string> sets;
  std::erase_if(parts, [&sets](const std::string& part) {
    const bool is_set = part.starts_with("t");
    if (is_set) {
      sets.push_back(part);
    }
    return is_set;
  });
  if (sets.empty()) {
    return "";
  }
  if (sets.size() > 1) {
    reject(text, "t once", sets[1]);
  }
  const auto name = sets.front().substr(1);
  if (!is_rand_augment_set(name)) {
    reject(text, "t followed by one of " + rand_augment_set_names(), sets.front());
  }
  return name;
}

/// Adds an operation like `common` for each member of `set`. Throws if `policy` draws more of them
/// than have a weight.
void add_members(const std::string& text, const std::string& set, bool increasing,
                 const PolicyOperation& common, AugmentPolicy& policy) {
  for (const auto& member : rand_augment_members(set, increasing)) {
    auto step = common;
    step.operation = &augment_operation(member.operation);
    policy.choices.push_back({step});
    if (member.weight) {
      policy.weights.push_back(*member.weight);
    }
  }
  const auto weighted = std::count_if(policy.weights.begin(), policy.weights.end(),
                                      [](double weight) { return weight > 0.0; });
  if (!policy.weights.empty() && policy.draws > weighted) {
    reject(text, fmt::format("n up to {}, the operations with a weight", weighted),
           fmt::format("n{}", policy.draws));
  }
}

AugmentPolicy rand_augment(const std::string& text, std::vector<std::string> parts) {
  auto set = take_set(text, parts);
  const auto numbers = read_parts(text, parts,
                                  {{"m", 0, 100},
                                   {"n", 1, 100, true},
                                   {"p", 0, 1},
                                   {"mstd", 0, kInfinite},
                                   {"mmax", 1, 100, true},
                                   {"inc", 0, 1, true},
                                   {"w", 0, 0, true}});
  if (numbers.contains("w")) {
    if (!set.empty()) {
      reject(text, "w0 or t" + set + ", not both", "w0");
    }
    set = kOldWeightsSet;
  }
  const bool increasing = number_or(numbers, "inc", 0) != 0;
  const PolicyOperation common{.probability = number_or(numbers, "p", 0.5),
                               .magnitude = number_or(numbers, "m", 10),
                               .magnitude_std = magnitude_std(numbers, 0),
                               .max_magnitude = number_or(numbers, "mmax", 10)};
  AugmentPolicy policy;
  policy.draws = static_cast<int64_t>(number_or(numbers, "n", 2));
  add_members(text, set, increasing, common, policy);
  policy.text = fmt::format("randaug({},{:g}", policy.draws, common.magnitude);
  policy.text += noise_text(common.magnitude_std) + (increasing ? ",inc" : "");
  policy.text += common.probability == 0.5 ? "" : fmt::format(",p={:g}", common.probability);
  policy.text += common.max_magnitude == 10 ? "" : fmt::format(",mmax={:g}", common.max_magnitude);
  policy.text += set.empty() ? ")" : "," + set + ")";
  return policy;
}

AugmentPolicy aug_mix(const std::string& text, const std::vector<std::string>& parts) {
  const auto numbers = read_parts(text, parts,
                                  {{"m", 0, 10},
                                   {"w", 1, 100, true},
                                   {"d", 0, 100, true},
                                   {"a", 0.01, 100},
                                   {"mstd", 0, kInfinite}});
  AugmentPolicy policy;
  policy.move_share = 0.3;
  policy.chains = {.width = static_cast<int64_t>(number_or(numbers, "w", 3)),
                   .depth = static_cast<int64_t>(number_or(numbers, "d", 0)),
                   .alpha = number_or(numbers, "a", 1)};
  const PolicyOperation common{.magnitude = number_or(numbers, "m", 3),
                               .magnitude_std = magnitude_std(numbers, kInfinite)};
  for (const auto name : aug_mix_operations()) {
    auto step = common;
    step.operation = &augment_operation(name);
    policy.choices.push_back({step});
  }
  policy.text = fmt::format(
      "augmix({},width={},depth={},alpha={:g}{})", common.magnitude, policy.chains.width,
      policy.chains.depth > 0 ? std::to_string(policy.chains.depth) : "1-3", policy.chains.alpha,
      std::isinf(common.magnitude_std) ? "" : noise_text(common.magnitude_std));
  return policy;
}

AugmentPolicy auto_augment(const AutoAugmentPolicy& row, const std::string& text,
                           const std::vector<std::string>& parts) {
  const auto numbers = read_parts(text, parts, {{"mstd", 0, kInfinite}});
  const double noise = magnitude_std(numbers, 0);
  AugmentPolicy policy;
  policy.text = fmt::format("autoaug({}{})", row.name, noise_text(noise));
  for (const auto& sub_policy : row.sub_policies) {
    auto& sequence = policy.choices.emplace_back();
    for (const auto& step : sub_policy) {
      if (step.operation.empty()) {
        continue;
      }
      const bool is_replaced = !row.posterize.empty() && step.operation.starts_with("Posterize");
      sequence.push_back(
          {.operation = &augment_operation(is_replaced ? row.posterize : step.operation),
           .probability = step.probability,
           .magnitude = step.magnitude,
           .magnitude_std = noise});
    }
  }
  return policy;
}

}  // namespace

AugmentPolicy parse_augment_policy(const std::string& text) {
  auto parts = split(text);
  const auto name = parts.front();
  parts.erase(parts.begin());
  if (name == "rand") {
    return rand_augment(text, std::move(parts));
  }
  if (name == "augmix") {
    return aug_mix(text, parts);
  }
  if (name == "ta_wide") {
    read_parts(text, parts, {});
    return trivial_augment();
  }
  std::string names = "rand, augmix, ta_wide";
  for (const auto& row : auto_augment_policies()) {
    if (row.name == name) {
      return auto_augment(row, text, parts);
    }
    names += ", " + std::string(row.name);
  }
  reject(text, "one of " + names + " before the first '-'", name);
}

}  // namespace softmoe
