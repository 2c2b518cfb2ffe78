/// Where in a file the parameters of a model are, and of which family they are.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "checkpoints/convert/block_names.h"
#include "checkpoints/convert/families.h"
#include "checkpoints/convert/family_names.h"
#include "checkpoints/convert/scanned_blocks.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// Prefixes of which the first that is there is meant, where a file has several models.
constexpr std::array<std::string_view, 10> kUsualPrefixes = {
    "",       "params/",     "params/img/", "opt/target/",   "target/",
    "model.", "state_dict.", "module.",     "vision_model.", "model.module."};

/// A tensor of Hugging Face's ViT, DeiT and DINOv2.
constexpr std::string_view kHuggingFaceAnchor = "embeddings.patch_embeddings.projection.weight";

/// What files hold beside the model that reads images.
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

/// What precedes `anchor` in `name`, nothing where it does not end with it.
std::optional<std::string> prefix_before(const std::string& name, std::string_view anchor) {
  if (!name.ends_with(anchor)) {
    return std::nullopt;
  }
  const auto prefix = name.substr(0, name.size() - anchor.size());
  const bool whole = prefix.empty() || prefix.back() == '.' || prefix.back() == '/';
  return whole ? std::optional(prefix) : std::nullopt;
}

/// The prefix of the one model that is no moving average of another, where there is one.
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

/// The tensors of a file by where they stand.
struct Placed {
  NamedTensors inside;              ///< after the prefix
  NamedTensors outside;             ///< elsewhere, without what they have in common with the prefix
  std::vector<std::string> others;  ///< those of other models
};

/// `name` without the longest part of `prefix` that ends at a separator and that both share.
std::string without_common(const std::string& name, const std::string& prefix) {
  size_t common = 0;
  for (size_t i = 0; i < std::min(name.size(), prefix.size()) && name[i] == prefix[i]; ++i) {
    if (prefix[i] == '.' || prefix[i] == '/') {
      common = i + 1;
    }
  }
  return name.substr(common);
}

/// Whether `name` stands after another of the prefixes that models have.
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

/// Names of Hugging Face as files have them.
NamedTensors with_file_names(const NamedTensors& tensors, const std::string& where) {
  auto renamed = to_our_names(tensors, hf_in_memory_names(), where);
  for (const auto& name : renamed.unmatched) {
    renamed.tensors[name] = tensors.at(name);
  }
  return renamed.tensors;
}

/// `name` without the chunk in blocks.<chunk>.<block>., as DINOv2's training code writes it.
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
    // Of two that would be one, the second stays as it is, and is not matched.
    result.emplace(result.contains(bare) ? name : bare, tensor);
  }
  return result;
}

/// Whether one of `names` is the marker of `family`.
bool is_marked(const Family& family, const Placed& placed) {
  const NameRow marker{family.marker, family.marker};
  const auto holds = [&](const NamedTensors& names) {
    return std::any_of(names.begin(), names.end(), [&](const auto& item) {
      return has_row(std::span(&marker, 1), item.first);
    });
  };
  return family.marker.empty() || holds(placed.inside) || holds(placed.outside);
}

const Family* marked_family(const std::string& asked, const Placed& placed) {
  for (const auto& family : families()) {
    const bool named = asked.empty() || family.name == asked;
    if (named && placed.inside.contains(std::string(family.anchor)) &&
        (!asked.empty() || is_marked(family, placed))) {
      return &family;
    }
  }
  return nullptr;
}

[[noreturn]] void throw_no_model(const NamedTensors& tensors, const std::string& family,
                                 const std::string& where) {
  std::string known;
  for (const auto& row : families()) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", row.name);
  }
  throw InputError(where,
                   family.empty() ? "the parameters of a vision transformer of one of " + known
                                  : "the parameters of family " + family,
                   tensors.empty() ? "nothing" : tensors.begin()->first + " and so on");
}

}  // namespace

FoundModel find_model(const NamedTensors& tensors, const std::string& family,
                      const std::string& prefix, const std::string& where) {
  std::set<std::string> prefixes;
  for (const auto& row : families()) {
    for (const auto& [name, tensor] : tensors) {
      if (const auto before = prefix_before(name, row.anchor);
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
  if (placed.inside.contains(std::string(kHuggingFaceAnchor))) {
    placed.inside = with_file_names(placed.inside, where);
  } else {
    placed.inside = without_chunks(placed.inside);
  }
  found.family = marked_family(family, placed);
  if (found.family == nullptr) {
    throw_no_model(placed.inside, family, where);
  }
  if (found.family->scanned) {
    placed.inside = split_blocks(placed.inside, where);
  }
  found.left_out = placed.others;
  const auto& rows = found.family->rows;
  for (auto& [name, tensor] : placed.inside) {
    if (rows.empty() || !is_other_part(name)) {
      found.tensors[name] = tensor;
    } else {
      found.left_out.push_back(name);
    }
  }
  // Heads may stand outside the body: "classifier.weight" beside "vit.".
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
