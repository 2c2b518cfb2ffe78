#include "train/data_identity.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <memory>
#include <string_view>

#include "core/error.h"
#include "core/pluralize.h"
#include "core/unicode.h"

namespace softmoe {
namespace {

struct FreeHash {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

/// The part of `name` behind the folder `data_dir`, or all of it.
std::string_view name_within(std::string_view name, const std::string& data_dir) {
  if (!data_dir.empty() && name.starts_with(data_dir)) {
    name.remove_prefix(data_dir.size());
    name.remove_prefix(std::min(name.find_first_not_of('/'), name.size()));
  }
  return name;
}

SetIdentity identity_of(const Dataset& set, const std::string& data_dir) {
  const std::unique_ptr<XXH3_state_t, FreeHash> state(XXH3_createState());
  TORCH_CHECK(state != nullptr, "no memory for a checksum");
  XXH3_64bits_reset(state.get());
  for (int64_t index = 0; index < set.size(); ++index) {
    const auto name = set.sample_name(index);
    // In one form, since a copy on another file system may write accents in another way.
    const auto inner = nfc(std::string(name_within(name, data_dir)));
    XXH3_64bits_update(state.get(), inner.data(), inner.size());
    XXH3_64bits_update(state.get(), "\n", 1);
  }
  return {.images = set.size(), .digest = fmt::format("{:016x}", XXH3_64bits_digest(state.get()))};
}

Json to_json(const SetIdentity& set) { return {{"images", set.images}, {"digest", set.digest}}; }

void check_same_set(const Json& before, const SetIdentity& now, const std::string& split,
                    const std::string& folder) {
  if (before == to_json(now)) {
    return;
  }
  const int64_t images = before.at("images");
  throw InputError(
      fmt::format("the {} images of the run in {}", split, folder),
      pluralize(images, "image") + " as it began with",
      images == now.images ? "as many with other names" : pluralize(now.images, "image"));
}

}  // namespace

DataIdentity data_identity(const Dataset& train, const Dataset& val,
                           const DatasetOptions& options) {
  return {.class_names = train.class_names(),
          .train = identity_of(train, options.data_dir),
          .val = identity_of(val, options.data_dir)};
}

Json to_json(const DataIdentity& identity) {
  return {{"train", to_json(identity.train)}, {"val", to_json(identity.val)}};
}

void check_same_classes(const std::vector<std::string>& before, const std::vector<std::string>& now,
                        const std::string& where) {
  if (before.size() != now.size()) {
    throw InputError(where, pluralize(std::ssize(before), "class", "classes"),
                     std::to_string(now.size()));
  }
  for (size_t label = 0; label < before.size(); ++label) {
    if (before[label] != valid_utf8(now[label])) {  // as files hold them
      throw InputError(fmt::format("{}: class {}", where, label),
                       "'" + printable_text(before[label]) + "'",
                       "'" + printable_text(now[label]) + "'");
    }
  }
}

void check_same_data(const std::vector<std::string>& class_names, const Json& before,
                     const DataIdentity& now, const std::string& folder) {
  check_same_classes(class_names, now.class_names, "the data of the run in " + folder);
  if (!before.is_null()) {
    check_same_set(before.at("train"), now.train, "training", folder);
    check_same_set(before.at("val"), now.val, "validation", folder);
  }
}

}  // namespace softmoe
