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

/// The key of a JSON object that has a value: `chosen`, or the first of `usual` if that is empty.
std::optional<std::string> present_key(const Json& object, const std::string& chosen,
                                       std::span<const char* const> usual) {
  std::vector<std::string> keys = {chosen};
  if (chosen.empty()) {
    keys.assign(usual.begin(), usual.end());
  }
  for (const auto& key : keys) {
    const auto at = object.is_object() ? object.find(key) : object.end();
    if (at != object.end() && !at->is_null()) {
      return key;
    }
  }
  return std::nullopt;
}

/// Puts members together to samples.
class ShardReader {
 public:
  ShardReader(const std::filesystem::path& shard, ShardKeys keys, LabelFormat format)
      : shard_(shard.string()), keys_(std::move(keys)), format_(std::move(format)), scan_(shard) {}

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
    std::string text;          // of the .txt member
    std::string json_caption;  // of the .json member
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
    } else if (name.extension == "txt" && keys_.captions) {
      sample_.text = trimmed(scan_.read(kMaxLabelBytes), kLabelSpaces);
    } else if (name.extension == "json") {
      read_json(scan_.read(kMaxLabelBytes), where(member.name));
    }
  }

  void read_json(const std::string& text, const std::string& where) {
    const auto object = parse_json(text, where);
    if (const auto key = present_key(object, keys_.label, usual_label_names())) {
      sample_.json = field_labels(object, *key, format_, where);
    }
    if (!keys_.captions) {
      return;
    }
    if (const auto key = present_key(object, keys_.caption, usual_caption_names())) {
      sample_.json_caption = trimmed(field_text(object, *key, where), kLabelSpaces);
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
    const bool prefers_json = !keys_.label.empty() && is_given(sample_.json);
    const auto& labels = !is_given(sample_.cls) || prefers_json ? sample_.json : sample_.cls;
    const bool prefers_text = keys_.caption.empty() || sample_.json_caption.empty();
    auto caption = prefers_text && !sample_.text.empty() ? sample_.text : sample_.json_caption;
    if (!is_given(labels) && caption.empty()) {
      throw InputError(where(sample_.key),
                       (keys_.captions ? "a caption in a .txt member, or " : std::string()) +
                           (keys_.label.empty() ? "a label in a .cls or .json member"
                                                : "a label in a .cls member or under '" +
                                                      keys_.label + "' in a .json member"),
                       "none");
    }
    const auto& image = *sample_.image;
    index_.images.push_back({image.name, image.offset, image.size,
                             is_given(labels) ? *labels : Labels(), std::move(caption)});
  }

  std::string shard_;
  ShardKeys keys_;
  LabelFormat format_;
  TarScan scan_;
  Sample sample_;
  ShardIndex index_;
};

}  // namespace

ShardIndex index_shard(const std::filesystem::path& shard, const ShardKeys& keys,
                       const LabelFormat& format) {
  return ShardReader(shard, keys, format).read();
}

}  // namespace softmoe
