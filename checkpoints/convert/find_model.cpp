#include "checkpoints/convert/find_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "checkpoints/convert/scanned_blocks.h"
#include "checkpoints/parameter_names.h"
#include "core/error.h"
#include "core/registry.h"

namespace softmoe {
namespace {

/// Of several models in a file, that after the first of these prefixes is meant.
constexpr std::array<std::string_view, 10> kUsualPrefixes = {
    "",       "params/",     "params/img/", "opt/target/",   "target/",
    "model.", "state_dict.", "module.",     "vision_model.", "model.module."};

/// Beginnings of names in files that do not belong to the model of images.
constexpr std::array<std::string_view, 20> kOtherParts = {"pooler.",
                                                          "embeddings.mask_token",
                                                          "embeddings.position_ids",
                                                          "mask_token",
                                                          "dino_head.",
                                                          "ibot_head.",
                                                          "text_model.",
                                                          "text.",
                                                          "text_projection.",
                                                          "logit_scale",
                                                          "logit_bias",
                                                          "optimizer",
                                                          "model_ema",
                                                          "state_dict_ema",
                                                          "ema.",
                                                          "ema_model.",
                                                          "lr_scheduler",
                                                          "scaler",
                                                          "amp_scaler",
                                                          "loss_scaler"};

bool is_other_part(const std::string& name) {
  return std::any_of(kOtherParts.begin(), kOtherParts.end(),
                     [&name](std::string_view part) { return name.starts_with(part); });
}

/// What precedes `anchor` in `name`; nothing if it does not end with it.
std::optional<std::string> prefix_before(const std::string& name, std::string_view anchor) {
  if (!name.ends_with(anchor)) {
    return std::nullopt;
  }
  const auto prefix = name.substr(0, name.size() - anchor.size());
  const bool whole = prefix.empty() || prefix.back() == '.' || prefix.back() == '/';
  return whole ? std::optional(prefix) : std::nullopt;
}

/// The prefix of the only model that is no moving average of another; nothing if there are more.
std::optional<std::string> only_plain(const std::set<std::string>& prefixes) {
  std::optional<std::string> plain;
  for (const auto& prefix : prefixes) {
    if (prefix.find("ema") == std::string::npos) {
      if (plain) {
        return std::nullopt;
      }
      plain = prefix;
    }
  }
  return plain;
}

std::string choose_prefix(const std::set<std::string>& prefixes, const std::string& asked,
                          const std::string& where) {
  if (!asked.empty() && !prefixes.contains(asked)) {
    throw InputError(where, "a model after prefix '" + asked + "'",
                     fmt::format("models after '{}'", fmt::join(prefixes, "', '")));
  }
  if (!asked.empty() || prefixes.size() == 1) {
    return asked.empty() ? *prefixes.begin() : asked;
  }
  for (const auto usual : kUsualPrefixes) {
    if (prefixes.contains(std::string(usual))) {
      return std::string(usual);
    }
  }
  if (const auto plain = only_plain(prefixes)) {
    return *plain;
  }
  throw InputError(where, "one model, or --prefix to choose",
                   fmt::format("several, after '{}'", fmt::join(prefixes, "', '")));
}

/// The tensors of a file by their place.
struct Placed {
  NamedTensors inside;              ///< after the prefix
  NamedTensors outside;             ///< elsewhere, without the part they share with the prefix
  std::vector<std::string> others;  ///< those of other models
};

/// `name` without the longest beginning that it shares with `prefix` and that ends at a separator.
std::string without_common(const std::string& name, const std::string& prefix) {
  size_t common = 0;
  for (size_t i = 0; i < std::min(name.size(), prefix.size()) && name[i] == prefix[i]; ++i) {
    if (prefix[i] == '.' || prefix[i] == '/') {
      common = i + 1;
    }
  }
  return name.substr(common);
}

/// Returns true if `name` has another of the prefixes of models.
bool is_of_another(const std::string& name, const std::string& prefix,
                   const std::set<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& other) {
    return name.starts_with(other) && !prefix.starts_with(other);
  });
}

Placed place(const NamedTensors& tensors, const std::string& prefix,
             const std::set<std::string>& prefixes) {
  Placed placed;
  for (const auto& [name, tensor] : tensors) {
    if (is_of_another(name, prefix, prefixes)) {
      placed.others.push_back(name);
    } else if (name.starts_with(prefix)) {
      placed.inside[name.substr(prefix.size())] = tensor;
    } else {
      placed.outside[without_common(name, prefix)] = tensor;
    }
  }
  return placed;
}

/// The aliases of the families that have an anchor in `tensors`; none: they have none.
std::span<const NameRow> aliases_of(const NamedTensors& tensors) {
  for (const auto& family : families()) {
    if (!family.tensors.aliases.empty() && tensors.contains(std::string(family.tensors.anchor))) {
      return family.tensors.aliases;
    }
  }
  return {};
}

NamedTensors without_aliases(const NamedTensors& tensors, std::span<const NameRow> aliases,
                             const std::string& where) {
  auto renamed = to_our_names(tensors, aliases, where);
  for (const auto& name : renamed.unmatched) {
    renamed.tensors[name] = tensors.at(name);
  }
  return renamed.tensors;
}

/// `name` without the chunk in blocks.<chunk>.<block>., which DINOv2's training code writes.
std::string without_chunk(const std::string& name) {
  const auto chunk = block_parameter(name);
  if (!chunk) {
    return name;
  }
  const std::string bare = "blocks." + chunk->rest;
  return block_parameter(bare) ? bare : name;
}

NamedTensors without_chunks(const NamedTensors& tensors) {
  NamedTensors result;
  for (const auto& [name, tensor] : tensors) {
    const auto bare = without_chunk(name);
    // If two get the same name, the second stays as it is, and is not matched.
    result.emplace(result.contains(bare) ? name : bare, tensor);
  }
  return result;
}

/// Returns true if the marker of `family` is there.
bool is_marked(const Family& family, const Placed& placed) {
  const NameRow marker{family.tensors.marker, family.tensors.marker};
  const auto holds = [&](const NamedTensors& names) {
    return std::any_of(names.begin(), names.end(), [&](const auto& item) {
      return has_row(std::span(&marker, 1), item.first);
    });
  };
  return family.tensors.marker.empty() || holds(placed.inside) || holds(placed.outside);
}

const Family* marked_family(const std::string& asked, const Placed& placed) {
  for (const auto& family : families()) {
    const bool named = asked.empty() || family.name == asked;
    if (named && placed.inside.contains(std::string(family.tensors.anchor)) &&
        (!asked.empty() || is_marked(family, placed))) {
      return &family;
    }
  }
  return nullptr;
}

[[noreturn]] void throw_no_model(const NamedTensors& tensors, const std::string& family,
                                 const std::string& where) {
  throw InputError(
      where,
      family.empty() ? "the parameters of a vision transformer of one of " + known_names(families())
                     : "the parameters of family " + family,
      tensors.empty() ? "nothing" : tensors.begin()->first + " and so on");
}

}  // namespace

FoundModel find_model(const NamedTensors& tensors, const std::string& family,
                      const std::string& prefix, const std::string& where) {
  std::set<std::string> prefixes;
  for (const auto& row : families()) {
    for (const auto& [name, tensor] : tensors) {
      if (const auto before = prefix_before(name, row.tensors.anchor);
          before && (family.empty() || row.name == family)) {
        prefixes.insert(*before);
      }
    }
  }
  if (prefixes.empty()) {
    throw_no_model(tensors, family, where);
  }
  FoundModel found;
  found.prefix = choose_prefix(prefixes, prefix, where);
  auto placed = place(tensors, found.prefix, prefixes);
  const auto aliases = aliases_of(placed.inside);
  placed.inside = aliases.empty() ? without_chunks(placed.inside)
                                  : without_aliases(placed.inside, aliases, where);
  found.family = marked_family(family, placed);
  if (found.family == nullptr) {
    throw_no_model(placed.inside, family, where);
  }
  if (found.family->tensors.scanned) {
    placed.inside = split_blocks(placed.inside, where);
  }
  found.left_out = placed.others;
  const auto& rows = found.family->tensors.rows;
  for (auto& [name, tensor] : placed.inside) {
    if (rows.empty() || !is_other_part(name)) {
      found.tensors[name] = tensor;
    } else {
      found.left_out.push_back(name);
    }
  }
  // Heads may be outside the body: "classifier.weight" beside "vit.".
  const bool dotted = found.prefix.find('/') == std::string::npos;
  for (auto& [name, tensor] : placed.outside) {
    if (has_row(rows, name) && !found.tensors.contains(name)) {
      found.tensors[name] = tensor;
    } else if (prefix.empty() && dotted && !rows.empty() && !is_other_part(name)) {
      found.unmatched.push_back(name);
    } else {
      found.left_out.push_back(name);
    }
  }
  return found;
}

}  // namespace softmoe
