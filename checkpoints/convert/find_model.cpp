#include "checkpoints/convert/find_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "checkpoints/convert/model_prefix.h"
#include "checkpoints/convert/other_tensors.h"
#include "checkpoints/convert/scanned_blocks.h"
#include "checkpoints/parameter_names.h"
#include "core/error.h"
#include "core/registry.h"

namespace softmoe {
namespace {

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

/// The first part of a name or prefix, with its separator.
std::string first_part(const std::string& name) {
  return name.substr(0, std::min(name.find_first_of("./"), name.size() - 1) + 1);
}

/// Returns true if `name` is that of another of the models after `prefixes`, or stands beside it
/// under a first part that it does not share with the model after `prefix`.
bool is_of_another(const std::string& name, const std::string& prefix,
                   const std::set<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const std::string& other) {
    if (prefix.starts_with(other)) {
      return false;
    }
    const auto first = first_part(other);
    return name.starts_with(prefix.starts_with(first) ? other : first);
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
      const auto bare = without_common(name, prefix);
      placed.outside[placed.outside.contains(bare) ? name : bare] = tensor;
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
                                 const std::string& where,
                                 const std::vector<OpaqueObject>& opaque = {}) {
  const auto* const object = likely_model(opaque);
  if (object != nullptr && object->holds_tensors) {
    throw InputError(where, "a vision transformer's state dict, as model.state_dict() gives it",
                     described(*object));
  }
  throw InputError(
      where,
      family.empty() ? "the parameters of a vision transformer of one of " + known_names(families())
                     : "the parameters of family " + family,
      tensors.empty() ? "nothing" : tensors.begin()->first + " and so on");
}

std::set<std::string> prefixes_of_models(const NamedTensors& tensors, const std::string& family) {
  std::set<std::string> prefixes;
  for (const auto& row : families()) {
    for (const auto& [name, tensor] : tensors) {
      if (const auto before = prefix_before(name, row.tensors.anchor);
          before && (family.empty() || row.name == family)) {
        prefixes.insert(*before);
      }
    }
  }
  return prefixes;
}

/// The channels of a token, by the patch embedding.
int64_t width_of(const Family& family, const NamedTensors& inside) {
  const auto& patches = inside.at(std::string(family.tensors.anchor));
  const bool is_flax = family.tensors.anchor.find('/') != std::string_view::npos;
  return patches.dim() == 0 ? 0 : patches.size(is_flax ? -1 : 0);
}

/// Sorts the tensors after the prefix into those of the model and others. Names without a row that
/// look like parts of it stay: renaming refuses them.
void sort_inside(const NamedTensors& inside, int64_t dim, FoundModel& found) {
  const auto& rows = found.family->tensors.rows;
  for (const auto& [name, tensor] : inside) {
    const bool is_known = has_row(rows, name) && name != "mask_token";
    if (!is_known && is_other_tensor(name, tensor, *found.family, dim)) {
      found.left_out.push_back(name);
    } else {
      found.tensors[name] = tensor;
    }
  }
}

/// Takes heads that stand outside the body: "classifier.weight" beside "vit.".
void sort_outside(const Placed& placed, int64_t dim, bool prefix_is_given, FoundModel& found) {
  const auto& rows = found.family->tensors.rows;
  // Files with '/' hold whole trees of training, models in a part of their own.
  const bool is_dotted = found.prefix.find('/') == std::string::npos;
  for (const auto& [name, tensor] : placed.outside) {
    if (has_row(rows, name) && !found.tensors.contains(name)) {
      found.tensors[name] = tensor;
    } else if (is_dotted && !prefix_is_given && is_classifier(placed.outside, name, dim)) {
      found.unmatched.push_back(name);
    } else {
      found.left_out.push_back(name);
    }
  }
}

/// `prefix` with the wrappers that the file has in it.
std::string prefix_in_file(const NamedTensors& wrapped, const Family& family,
                           const std::string& prefix) {
  for (const auto& [name, tensor] : wrapped) {
    if (without_wrappers(name) != prefix + std::string(family.tensors.anchor)) {
      continue;
    }
    for (size_t end = name.rfind('.'); end != std::string::npos && end > 0;
         end = name.rfind('.', end - 1)) {
      const auto front = name.substr(0, end + 1);
      if (without_wrappers(front) == prefix) {
        return front;
      }
    }
  }
  return prefix;
}

/// Throws if an object that was not read stands in the place of a tensor of the model.
void check_opaque(const FoundModel& found, const std::vector<OpaqueObject>& opaque,
                  const std::string& where) {
  for (const auto& object : opaque) {
    const auto name = without_wrappers(object.name);
    if (name.starts_with(found.prefix) &&
        has_row(found.family->tensors.rows, name.substr(found.prefix.size()))) {
      throw InputError(fmt::format("{}: tensor '{}'", where, printable_text(object.name)),
                       "plain numbers", "an object of " + object.maker);
    }
  }
}

}  // namespace

FoundModel find_model(const NamedTensors& wrapped, const std::string& family,
                      const std::string& prefix, const std::string& where,
                      const std::vector<OpaqueObject>& opaque) {
  refuse_adapters(wrapped, where);
  const auto tensors = without_wrappers(wrapped);
  const auto prefixes = prefixes_of_models(tensors, family);
  if (prefixes.empty()) {
    throw_no_model(tensors, family, where, opaque);
  }
  FoundModel found;
  found.prefix = choose_prefix(prefixes, tensors, prefix, where);
  found.prefixes.assign(prefixes.begin(), prefixes.end());
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
  const auto dim = width_of(*found.family, placed.inside);
  sort_inside(placed.inside, dim, found);
  sort_outside(placed, dim, !prefix.empty(), found);
  check_opaque(found, opaque, where);
  found.prefix = prefix_in_file(wrapped, *found.family, found.prefix);
  return found;
}

}  // namespace softmoe
