#include "datasets/sources/shard_index.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "core/error.h"
#include "core/lower_case.h"
#include "core/split_text.h"
#include "datasets/formats/image_format.h"
#include "datasets/sources/manifest_reader.h"
#include "datasets/sources/tar_scan.h"
#include "io/bounded_json.h"

namespace softmoe {
namespace {

constexpr int64_t kMaxLabelBytes = 1 << 20;
constexpr const char* kLabelSpaces = " \t\r\n";  // around a label

/// The name of a member in its two parts.
struct MemberName {
  std::string key;
  std::string extension;  ///< in lower case, without the dot
};

/// std::nullopt for names that are no part of a sample: hidden files, notes such as __meta__, names
/// without a dot.
std::optional<MemberName> parts_of(const std::string& name) {
  const auto begin = name.rfind('/') == name.npos ? 0 : name.rfind('/') + 1;
  const auto dot = name.find('.', begin);
  if (dot == name.npos || dot == begin || name.compare(begin, 2, "__") == 0) {
    return std::nullopt;
  }
  return MemberName{name.substr(0, dot), lower_case(name.substr(dot + 1))};
}

/// The label in a JSON object; "" if it has none.
std::string json_label(const std::string& text, const std::string& label_key,
                       const std::string& where) {
  const auto object = parse_json(text, where);
  std::vector<std::string> keys = {label_key};
  if (label_key.empty()) {
    keys.assign(usual_label_names().begin(), usual_label_names().end());
  }
  for (const auto& key : keys) {
    const auto at = object.is_object() ? object.find(key) : object.end();
    if (at != object.end() && !at->is_null()) {
      return field_text(object, key, where);
    }
  }
  return "";
}

/// Puts members together to samples.
class ShardReader {
 public:
  ShardReader(const std::filesystem::path& shard, const std::string& label_key)
      : shard_(shard.string()), label_key_(label_key), scan_(shard) {}

  ShardIndex read() {
    while (const auto member = scan_.next()) {
      if (const auto name = parts_of(member->name)) {
        add(*member, *name);
      }
    }
    finish_sample();
    return std::move(index_);
  }

 private:
  /// The members of a sample so far.
  struct Sample {
    std::string key;
    std::map<std::string, TarMember> members;  // by extension
    std::optional<TarMember> image;
    std::string cls;
    std::string json;
  };

  std::string where(const std::string& name) const {
    return fmt::format("{}[{}]", shard_, printable_text(name));
  }

  void add(const TarMember& member, const MemberName& name) {
    if (sample_.key != name.key) {
      finish_sample();
      sample_ = {};
      sample_.key = name.key;
    }
    if (!sample_.members.emplace(name.extension, member).second) {
      throw InputError(where(member.name) + ": stands twice in its sample");
    }
    if (is_image_name("image." + name.extension)) {
      if (sample_.image) {
        throw InputError(where(sample_.key), "one image in a sample",
                         sample_.image->name + " and " + member.name);
      }
      sample_.image = member;
    } else if (name.extension == "cls") {
      sample_.cls = trimmed(scan_.read(kMaxLabelBytes), kLabelSpaces);
    } else if (name.extension == "json") {
      sample_.json = json_label(scan_.read(kMaxLabelBytes), label_key_, where(member.name));
    }
  }

  void finish_sample() {
    if (sample_.key.empty()) {
      return;
    }
    if (!sample_.image) {
      ++index_.left_out;
      return;
    }
    const bool prefers_json = !label_key_.empty() && !sample_.json.empty();
    const auto& label = sample_.cls.empty() || prefers_json ? sample_.json : sample_.cls;
    if (label.empty()) {
      throw InputError(where(sample_.key),
                       label_key_.empty() ? "a label in a .cls or .json member"
                                          : "a label in a .cls member or under '" + label_key_ +
                                                "' in a .json member",
                       "none");
    }
    const auto& image = *sample_.image;
    index_.images.push_back({image.name, image.offset, image.size, label});
  }

  std::string shard_;
  std::string label_key_;
  TarScan scan_;
  Sample sample_;
  ShardIndex index_;
};

}  // namespace

ShardIndex index_shard(const std::filesystem::path& shard, const std::string& label_key) {
  return ShardReader(shard, label_key).read();
}

}  // namespace softmoe
