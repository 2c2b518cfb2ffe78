#include "checkpoints/convert/model_prefix.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/name_list.h"
#include "core/split_text.h"

namespace softmoe {
namespace {

constexpr std::array<std::string_view, 5> kWrappers = {
    "module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module"};

/// Of several models in a file, that after the first of these prefixes is meant.
constexpr std::array<std::string_view, 8> kUsualPrefixes = {
    "",        "params/", "params/img/", "opt/target/",
    "target/", "model.",  "state_dict.", "vision_model."};

/// Words of the names of moving averages.
constexpr std::array<std::string_view, 6> kAverageWords = {"ema",     "swa",      "momentum",
                                                           "average", "averaged", "avg"};

/// Models that are trained by each other; in self-distillation the first is the average of the
/// second, and the better one.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kTwins{
    {{"teacher", "student"}, {"target_encoder", "encoder"}}};

bool is_average(std::string prefix) {
  std::replace_if(
      prefix.begin(), prefix.end(), [](char letter) { return letter == '.' || letter == '/'; },
      '_');
  const auto words = split_text(prefix, '_');
  return std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return std::find(kAverageWords.begin(), kAverageWords.end(), word) != kAverageWords.end();
  });
}

/// The prefix of the only model that is no moving average of another; nothing if there are more.
std::optional<std::string> only_plain(const std::set<std::string>& prefixes) {
  std::optional<std::string> plain;
  for (const auto& prefix : prefixes) {
    if (!is_average(prefix)) {
      if (plain) {
        return std::nullopt;
      }
      plain = prefix;
    }
  }
  return plain;
}

/// Returns true if all tensors after `prefix` have a counterpart of their shape after `other`.
bool have_same_shapes(const NamedTensors& tensors, const std::string& prefix,
                      const std::string& other) {
  return std::all_of(tensors.begin(), tensors.end(), [&](const auto& item) {
    if (!item.first.starts_with(prefix)) {
      return true;
    }
    const auto twin = tensors.find(other + item.first.substr(prefix.size()));
    return twin != tensors.end() && twin->second.sizes() == item.second.sizes();
  });
}

/// `prefix` with the part `from` replaced.
std::string with_part(const std::string& prefix, std::string_view from, std::string_view to) {
  auto parts = split_text(prefix, '.');
  std::replace(parts.begin(), parts.end(), std::string(from), std::string(to));
  return fmt::format("{}.", fmt::join(parts, "."));
}

/// The one to use of two models that are trained by each other.
std::optional<std::string> better_twin(const std::set<std::string>& prefixes,
                                       const NamedTensors& tensors) {
  for (const auto& [average, trained] : kTwins) {
    for (const auto& prefix : prefixes) {
      const auto other = with_part(prefix, average, trained);
      if (other != prefix && prefixes.contains(other)) {
        return have_same_shapes(tensors, prefix, other) ? prefix : other;
      }
    }
  }
  return std::nullopt;
}

/// "'model.', 'model_ema.'", for messages.
std::string quoted(const std::set<std::string>& prefixes) {
  std::vector<std::string> names;
  for (const auto& prefix : prefixes) {
    names.push_back("'" + prefix + "'");
  }
  return name_list(names);
}

}  // namespace

std::string without_wrappers(const std::string& name) {
  std::string result;
  size_t begin = 0;
  for (size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.', begin)) {
    const auto part = std::string_view(name).substr(begin, dot - begin);
    if (std::find(kWrappers.begin(), kWrappers.end(), part) == kWrappers.end()) {
      result.append(part).push_back('.');
    }
    begin = dot + 1;
  }
  return result + name.substr(begin);
}

NamedTensors without_wrappers(const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) {
    const auto bare = without_wrappers(name);
    if (bare == name || !tensors.contains(bare)) {
      result.emplace(result.contains(bare) ? name : bare, tensor);
    } else {
      result.emplace(name, tensor);
    }
  }
  return result;
}

std::optional<std::string> prefix_before(const std::string& name, std::string_view anchor) {
  if (!name.ends_with(anchor)) {
    return std::nullopt;
  }
  const auto prefix = name.substr(0, name.size() - anchor.size());
  const bool whole = prefix.empty() || prefix.back() == '.' || prefix.back() == '/';
  return whole ? std::optional(prefix) : std::nullopt;
}

std::string choose_prefix(const std::set<std::string>& prefixes, const NamedTensors& tensors,
                          const std::string& asked, const std::string& where) {
  if (!asked.empty()) {
    for (const auto& prefix : {asked, without_wrappers(asked)}) {
      if (prefixes.contains(prefix)) {
        return prefix;
      }
    }
    throw InputError(where, "a model after prefix '" + asked + "'",
                     "models after " + quoted(prefixes));
  }
  if (prefixes.size() == 1) {
    return *prefixes.begin();
  }
  for (const auto usual : kUsualPrefixes) {
    if (prefixes.contains(std::string(usual))) {
      return std::string(usual);
    }
  }
  auto chosen = better_twin(prefixes, tensors);
  chosen = chosen ? chosen : only_plain(prefixes);
  if (!chosen) {
    throw InputError(where, "one model (softmoe convert --prefix chooses one)",
                     "several, after " + quoted(prefixes));
  }
  return *chosen;
}

}  // namespace softmoe
