#include "datasets/sources/packed_index.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <functional>

#include "core/error.h"
#include "core/options.h"
#include "datasets/formats/picture_size.h"

namespace softmoe {
namespace {

constexpr const char* kFormat = "softmoe images";
constexpr const char* kVersion = "1";
constexpr const char* kVersionOfTexts = "2";  // with captions or texts of classes

/// XXH3-64 of everything but the images.
class IndexHash {
 public:
  IndexHash() : state_(XXH3_createState(), XXH3_freeState) { XXH3_64bits_reset(state_.get()); }

  template <typename Value>
  void add(const std::vector<Value>& values) {
    XXH3_64bits_update(state_.get(), values.data(), values.size() * sizeof(Value));
  }
  void add(const std::string& text) { XXH3_64bits_update(state_.get(), text.data(), text.size()); }
  std::string hex() const { return fmt::format("{:016x}", XXH3_64bits_digest(state_.get())); }

 private:
  std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state_;
};

std::string checksum(const PackedIndex& index) {
  IndexHash hash;
  hash.add(std::string(index.raw ? "raw" : "encoded"));
  hash.add(index.split);
  hash.add(index.source);
  hash.add(json_text(index.class_names));
  hash.add(index.labels);
  hash.add(index.label_ends);
  hash.add(index.checksums);
  hash.add(index.ends);
  hash.add(index.names);
  hash.add(index.name_ends);
  hash.add(index.shape);
  hash.add(index.captions);
  hash.add(index.caption_ends);
  if (!index.class_texts.empty()) {
    hash.add(json_text(index.class_texts));
  }
  return hash.hex();
}

void check(bool good, const Hdf5File& file, const std::string& what) {
  if (!good) {
    throw InputError(file.path().string() + ": damaged packed file: " + what);
  }
}

/// The type and size of an array that is stored whole. Others can claim more than memory holds.
Hdf5Info stored_info(const Hdf5File& file, const std::string& name) {
  auto info = file.info(name);
  check(info.stored_bytes >= info.bytes, file, name + " is not stored whole");
  return info;
}

template <typename Value>
std::vector<Value> read_vector(const Hdf5File& file, const std::string& name, Hdf5Type type) {
  const auto info = stored_info(file, name);
  if (info.type != type || info.shape.size() != 1) {
    throw InputError(file.path().string() + ": " + name, "a vector of the packed format",
                     "another type or shape");
  }
  std::vector<Value> values(static_cast<size_t>(info.shape[0]));
  file.read(name, type, values.data(), values.size() * sizeof(Value));
  return values;
}

bool ends_fit(const std::vector<int64_t>& ends, int64_t total) {
  return std::is_sorted(ends.begin(), ends.end()) &&
         (ends.empty() ? total == 0 : ends.front() >= 0 && ends.back() == total);
}

std::vector<std::string> read_texts(const Hdf5File& file, const std::string& name) {
  try {
    return nlohmann::json::parse(file.read_text(name)).get<std::vector<std::string>>();
  } catch (const nlohmann::json::exception&) {
    throw InputError(file.path().string() + ": " + name, "a JSON list of texts", "something else");
  }
}

void check_sides(const Hdf5File& file, int64_t height, int64_t width) {
  try {
    check_picture_size(static_cast<uint64_t>(width), static_cast<uint64_t>(height));
  } catch (const InputError& error) {
    check(false, file, std::string("an image of /images: ") + error.what());
  }
}

void read_ends(const Hdf5File& file, PackedIndex& index) {
  if (!index.raw) {
    const auto info = stored_info(file, "/bytes");
    index.ends = read_vector<int64_t>(file, "/ends", Hdf5Type::kInt64);
    check(info.type == Hdf5Type::kUInt8 && info.shape.size() == 1, file, "/bytes");
    check(ends_fit(index.ends, info.shape[0]), file, "/ends");
    return;
  }
  const auto info = stored_info(file, "/images");
  check(info.type == Hdf5Type::kUInt8 && info.shape.size() == 4, file, "/images");
  index.shape.assign(info.shape.begin() + 1, info.shape.end());
  check(index.shape[2] == 1 || index.shape[2] == 3, file, "/images has neither 1 nor 3 channels");
  if (info.shape[0] > 0) {
    check_sides(file, index.shape[0], index.shape[1]);
  }
  // The product was checked by info().
  const int64_t bytes = index.shape[0] * index.shape[1] * index.shape[2];
  for (int64_t image = 0; image < info.shape[0]; ++image) {
    index.ends.push_back((image + 1) * bytes);
  }
}

/// The first of what ends at ends[index].
int64_t begin_of(const std::vector<int64_t>& ends, int64_t index) {
  return index == 0 ? 0 : ends[static_cast<size_t>(index) - 1];
}

/// Text number `index` of those that stand in `texts` one after the other.
std::string text_of(const std::vector<uint8_t>& texts, const std::vector<int64_t>& ends,
                    int64_t index) {
  return {texts.begin() + begin_of(ends, index), texts.begin() + ends[static_cast<size_t>(index)]};
}

/// Reads what `file` has of captions and texts of classes, and checks their sizes.
void read_captions(const Hdf5File& file, PackedIndex& index) {
  if (file.exists("/caption_ends")) {
    index.captions = read_vector<uint8_t>(file, "/captions", Hdf5Type::kUInt8);
    index.caption_ends = read_vector<int64_t>(file, "/caption_ends", Hdf5Type::kInt64);
    check(ends_fit(index.caption_ends, std::ssize(index.captions)), file, "/caption_ends");
    check(std::ssize(index.caption_ends) == index.size(), file, "captions of other images");
  }
  if (file.has_text("class_texts")) {
    index.class_texts = read_texts(file, "class_texts");
    check(index.class_texts.size() == index.class_names.size(), file, "class_texts");
  }
}

/// Throws InputError unless all labels are classes and, of a multi-label set, in ascending order.
/// Images with captions may have no labels at all.
void check_labels(const Hdf5File& file, const PackedIndex& index) {
  if (index.has_captions() && index.class_names.empty() && !index.multi_label) {
    check(std::ranges::all_of(index.labels, [](int64_t label) { return label == -1; }), file,
          "a label without a class");
    return;
  }
  for (const int64_t label : index.labels) {
    check(label >= 0 && label < std::ssize(index.class_names), file, "a label without a class");
  }
  if (!index.multi_label) {
    return;
  }
  check(ends_fit(index.label_ends, std::ssize(index.labels)), file, "/label_ends");
  for (int64_t image = 0; image < index.size(); ++image) {
    const auto labels = index.labels_of(image);
    check(std::ranges::is_sorted(labels, std::less_equal{}), file, "labels out of order");
  }
}

}  // namespace

std::vector<int64_t> PackedIndex::labels_of(int64_t index) const {
  if (!multi_label) {
    const int64_t label = labels[static_cast<size_t>(index)];
    return label < 0 ? std::vector<int64_t>{} : std::vector{label};
  }
  return {labels.begin() + begin_of(label_ends, index),
          labels.begin() + label_ends[static_cast<size_t>(index)]};
}

std::string PackedIndex::name(int64_t index) const { return text_of(names, name_ends, index); }

std::string PackedIndex::caption(int64_t index) const {
  return text_of(captions, caption_ends, index);
}

int64_t PackedIndex::begin(int64_t index) const { return begin_of(ends, index); }

void write_index(Hdf5File& file, const PackedIndex& index) {
  const auto write = [&file](const std::string& name, Hdf5Type type, const auto& values) {
    file.write(name, type, {static_cast<int64_t>(values.size())}, values.data());
  };
  write("/labels", Hdf5Type::kInt64, index.labels);
  if (index.multi_label) {
    write("/label_ends", Hdf5Type::kInt64, index.label_ends);
  }
  write("/checksums", Hdf5Type::kUInt64, index.checksums);
  write("/names", Hdf5Type::kUInt8, index.names);
  write("/name_ends", Hdf5Type::kInt64, index.name_ends);
  if (!index.raw) {
    write("/ends", Hdf5Type::kInt64, index.ends);
  }
  if (index.has_captions()) {
    write("/captions", Hdf5Type::kUInt8, index.captions);
    write("/caption_ends", Hdf5Type::kInt64, index.caption_ends);
  }
  if (!index.class_texts.empty()) {
    file.write_text("class_texts", json_text(index.class_texts));
  }
  const bool has_texts = index.has_captions() || !index.class_texts.empty();
  file.write_text("format", kFormat);
  file.write_text("version", has_texts ? kVersionOfTexts : kVersion);
  file.write_text("layout", index.raw ? "raw" : "encoded");
  file.write_text("split", index.split);
  if (!index.source.empty()) {
    file.write_text("source", index.source);
  }
  file.write_text("class_names", json_text(index.class_names));
  file.write_text("checksum", checksum(index));
}

PackedIndex read_index(const Hdf5File& file) {
  const std::string path = file.path().string();
  if (!file.has_text("format") || file.read_text("format") != kFormat) {
    throw InputError(path, "a packed data set (softmoe data pack)", "another kind of HDF5 file");
  }
  if (const auto version = file.read_text("version");
      version != kVersion && version != kVersionOfTexts) {
    throw InputError(path + ": version of the packed format",
                     fmt::format("{} or {}", kVersion, kVersionOfTexts), version);
  }
  PackedIndex index;
  index.raw = file.read_text("layout") == "raw";
  index.split = file.read_text("split");
  index.source = file.has_text("source") ? file.read_text("source") : "";
  index.class_names = read_texts(file, "class_names");
  index.labels = read_vector<int64_t>(file, "/labels", Hdf5Type::kInt64);
  index.multi_label = file.exists("/label_ends");
  if (index.multi_label) {
    index.label_ends = read_vector<int64_t>(file, "/label_ends", Hdf5Type::kInt64);
  }
  index.checksums = read_vector<uint64_t>(file, "/checksums", Hdf5Type::kUInt64);
  index.names = read_vector<uint8_t>(file, "/names", Hdf5Type::kUInt8);
  index.name_ends = read_vector<int64_t>(file, "/name_ends", Hdf5Type::kInt64);
  read_ends(file, index);
  const size_t images = (index.multi_label ? index.label_ends : index.labels).size();
  for (const size_t count : {index.checksums.size(), index.name_ends.size(), index.ends.size()}) {
    if (count != images) {
      throw InputError(path, fmt::format("{} images by the labels", images), std::to_string(count));
    }
  }
  check(ends_fit(index.name_ends, std::ssize(index.names)), file, "/name_ends");
  read_captions(file, index);
  check(checksum(index) == file.read_text("checksum"), file, "the checksum of its index differs");
  check_labels(file, index);
  return index;
}

}  // namespace softmoe
