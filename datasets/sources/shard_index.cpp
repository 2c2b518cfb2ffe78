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

using Labels = std::vector<std::string>;

/// The labels in a JSON object; std::nullopt if it has none of their keys.
std::optional<Labels> json_labels(const std::string& text, const std::string& label_key,
                                  const LabelFormat& format, const std::string& where) {
  const auto object = parse_json(text, where);
  std::vector<std::string> keys = {label_key};
  if (label_key.empty()) {
    keys.assign(usual_label_names().begin(), usual_label_names().end());
  }
  for (const auto& key : keys) {
    const auto at = object.is_object() ? object.find(key) : object.end();
    if (at != object.end() && !at->is_null()) {
      return field_labels(object, key, format, where);
    }
  }
  return std::nullopt;
}

/// Puts members together to samples.
class ShardReader {
 public:
  ShardReader(const std::filesystem::path& shard, const std::string& label_key, LabelFormat format)
      : shard_(shard.string()), label_key_(label_key), format_(std::move(format)), scan_(shard) {}

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
    std::optional<Labels> cls;
    std::optional<Labels> json;
  };

  /// Returns true if `labels` say what a sample shows.
  bool is_given(const std::optional<Labels>& labels) const {
    return labels && (format_.multi_label || !labels->front().empty());
  }

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
      sample_.cls = split_labels(trimmed(scan_.read(kMaxLabelBytes), kLabelSpaces), format_);
    } else if (name.extension == "json") {
      sample_.json =
          json_labels(scan_.read(kMaxLabelBytes), label_key_, format_, where(member.name));
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
    const bool prefers_json = !label_key_.empty() && is_given(sample_.json);
    const auto& labels = !is_given(sample_.cls) || prefers_json ? sample_.json : sample_.cls;
    if (!is_given(labels)) {
      throw InputError(where(sample_.key),
                       label_key_.empty() ? "a label in a .cls or .json member"
                                          : "a label in a .cls member or under '" + label_key_ +
                                                "' in a .json member",
                       "none");
    }
    const auto& image = *sample_.image;
    index_.images.push_back({image.name, image.offset, image.size, *labels});
  }

  std::string shard_;
  std::string label_key_;
  LabelFormat format_;
  TarScan scan_;
  Sample sample_;
  ShardIndex index_;
};

}  // namespace

ShardIndex index_shard(const std::filesystem::path& shard, const std::string& label_key,
                       const LabelFormat& format) {
  return ShardReader(shard, label_key, format).read();
}

}  // namespace softmoe
