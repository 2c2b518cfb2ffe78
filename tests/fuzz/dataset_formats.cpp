#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "datasets/image_file.h"
#include "datasets/small_sets.h"
#include "datasets/sources/idx.h"
#include "datasets/sources/manifest_reader.h"
#include "datasets/sources/packed.h"
#include "datasets/sources/packed_index.h"
#include "datasets/sources/packed_writer.h"
#include "datasets/sources/shards.h"
#include "datasets/sources/tar_bytes.h"
#include "fuzz/format_lists.h"

namespace softmoe::fuzz {
namespace {

namespace fs = std::filesystem;

// --- IDX ---

std::string to_text(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

/// Without compression.
std::vector<std::string> plain_idx_seeds() {
  return {to_text(test::idx_bytes({2, 3, 2}, std::vector<uint8_t>(12, 7))),
          to_text(test::idx_bytes({4}, {0, 1, 2, 3}))};
}

std::vector<std::string> idx_seeds() {
  auto seeds = plain_idx_seeds();
  seeds.push_back(to_text(test::gzipped({seeds[0].begin(), seeds[0].end()})));
  return seeds;
}

void read_idx_file(const fs::path& path) {
  const auto array = read_idx(path);
  const auto count = std::accumulate(array.shape.begin(), array.shape.end(), int64_t{1},
                                     std::multiplies<int64_t>());
  if (count != std::ssize(array.values)) {
    throw std::runtime_error("the number of values differs from the shape");
  }
}

void write_gzipped(const std::string& text, const fs::path& path) {
  write_bytes(to_text(test::gzipped({text.begin(), text.end()})), path);
}

// --- Packed data sets ---

std::vector<std::string> packed_seeds() {
  std::vector<std::string> seeds;
  for (const auto layout : {PackLayout::kRaw, PackLayout::kEncoded}) {
    seeds.push_back(written([&](const fs::path& path) {
      pack_dataset(test::NumberedSet(4), path, "all", {.layout = layout});
    }));
  }
  return seeds;
}

/// What the files of write_packed_index() hold in the encoded layout.
const std::vector<uint8_t>& image_file() {
  static const std::vector<uint8_t> png = encode_png(cv::Mat(1, 2, CV_8UC3, cv::Scalar(1, 2, 3)));
  return png;
}

/// Lines of an index: layout, split, class names, labels, ends of names, shape of the images (or
/// ends of the image files), checksums of the images.
std::vector<std::string> packed_indices() {
  const std::vector<uint8_t> pixels(2, 1);
  const auto raw_sum = XXH3_64bits(pixels.data(), pixels.size());
  const auto& file = image_file();
  return {fmt::format("raw\nall\na b\n0 1\n1 2\n2 2 1 1\n{0} {0}", raw_sum),
          fmt::format("encoded\ntrain\na\n0\n2\n{}\n{}", file.size(),
                      XXH3_64bits(file.data(), file.size()))};
}

std::vector<int64_t> integers(const std::string& line) {
  std::istringstream words(line);
  std::vector<int64_t> values;
  for (std::string word; words >> word && values.size() < 64;) {
    values.push_back(static_cast<int64_t>(std::strtoull(word.c_str(), nullptr, 10)));
  }
  return values;
}

size_t product(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), size_t{1}, [](size_t count, int64_t size) {
    return count * static_cast<size_t>(size);
  });
}

/// Keeps arrays of this shape small. Large sizes are possible beside a size of 0.
void limit_shape(std::vector<int64_t>& shape) {
  constexpr int64_t kMaxBytes = 1 << 16;
  shape.resize(std::min<size_t>(shape.size(), 8));
  const bool is_empty = std::find(shape.begin(), shape.end(), 0) != shape.end();
  int64_t count = 1;
  for (auto& size : shape) {
    size = std::max<int64_t>(size, 0);
    if (!is_empty) {
      size = std::clamp<int64_t>(size, 1, kMaxBytes / count);
      count *= size;
    }
  }
}

/// A packed file whose index has a right checksum, of pixels of value 1 or of image_file().
void write_packed_index(const std::string& text, const fs::path& path) {
  // A text ends at its first zero byte, for the reader too.
  std::istringstream lines(text.c_str());
  std::array<std::string, 7> line;
  for (auto& one : line) {
    std::getline(lines, one);
  }
  PackedIndex index;
  index.raw = line[0] == "raw";
  index.split = line[1];
  std::istringstream class_names(line[2]);
  for (std::string name; class_names >> name;) {
    index.class_names.push_back(name);
  }
  index.labels = integers(line[3]);
  index.name_ends = integers(line[4]);
  auto shape = integers(line[5]);
  for (const int64_t value : integers(line[6])) {
    index.checksums.push_back(static_cast<uint64_t>(value));
  }
  index.names.assign(index.name_ends.empty() ? 0 : 2, 'n');
  auto file = Hdf5File::create(path, path);
  if (index.raw) {
    limit_shape(shape);
    const std::vector<uint8_t> pixels(product(shape), 1);
    file.write("/images", Hdf5Type::kUInt8, shape, pixels.data());
    // The checksum covers where images end, which the reader knows from the shape.
    index.shape.assign(shape.begin() + (shape.empty() ? 0 : 1), shape.end());
    for (size_t image = 1; image <= index.labels.size(); ++image) {
      index.ends.push_back(static_cast<int64_t>(image * product(index.shape)));
    }
  } else {
    index.ends = shape;
    file.write("/bytes", Hdf5Type::kUInt8, {std::ssize(image_file())}, image_file().data());
  }
  write_index(file, index);
  file.close();
}

/// Reads the first images, as a user of the set would.
void read_packed(const fs::path& path) {
  constexpr int64_t kImages = 4;
  const auto dataset = open_packed(path, "all");
  packed_source(path, "all");
  for (int64_t index = 0; index < std::min(kImages, dataset->size()); ++index) {
    const auto sample = dataset->get(index);
    if (sample.label < 0 || sample.label >= std::ssize(dataset->class_names()) ||
        sample.image.empty()) {
      throw std::runtime_error("a sample without pixels or class");
    }
    static_cast<void>(sample.image.clone());
    static_cast<void>(dataset->sample_name(index));
    static_cast<void>(dataset->encoded_bytes(index));
  }
}

// --- Manifests ---

std::vector<std::string> csv_seeds() {
  return {"path,label\n0.png,a\n\"b,c.png\",\"say \"\"d\"\"\"\n",
          "\xef\xbb\xbfid,file_name,class,split\r\n1,x.jpg,3,train\r\n"};
}

std::vector<std::string> json_lines_seeds() {
  return {"{\"file_name\": \"a.png\", \"label\": 3}\n\n{\"label\": 0, \"file_name\": \"b\"}\n",
          "{\"path\": \"a\", \"class\": \"c\", \"split\": \"val\"}"};
}

void read_manifest_file(const fs::path& path) {
  read_manifest(path, {}, [](const ManifestRow& row) {
    if (row.row < 1 || row.path.empty() || row.labels.empty() || row.labels.front().empty()) {
      throw std::runtime_error("a row without number, path or label");
    }
  });
}

// --- Tar shards ---

std::vector<std::string> tar_seeds() {
  const auto png = to_text(image_file());
  std::vector<std::string> seeds;
  for (const auto style : {test::TarStyle::kUstar, test::TarStyle::kGnu, test::TarStyle::kPax}) {
    seeds.push_back(test::tar_bytes(
        {{"a/1.png", png}, {"a/1.cls", "1"}, {"a/2.json", R"({"label": 0})"}, {"a/2.png", png}},
        style));
  }
  return seeds;
}

/// Reads all images; their bytes have to lie in the file.
void read_shard(const fs::path& path) {
  const auto set = open_shards(path.string(), "all", {}, {});
  for (int64_t index = 0; index < set->size(); ++index) {
    if (set->label(index) < 0 || set->label(index) >= std::ssize(set->class_names())) {
      throw std::runtime_error("a label without a class");
    }
    static_cast<void>(set->get(index));
  }
}

}  // namespace

std::vector<Format> dataset_formats() {
  return {
      {"idx",
       "x-idx3-ubyte",
       prepare_nothing,
       read_idx_file,
       {{idx_seeds, write_bytes}, {plain_idx_seeds, write_gzipped}}},
      {"packed",
       "x.h5",
       prepare_nothing,
       read_packed,
       {{packed_seeds, write_bytes}, {packed_indices, write_packed_index}}},
      {"csv", "x.csv", prepare_nothing, read_manifest_file, {{csv_seeds, write_bytes}}},
      {"json_lines",
       "x.jsonl",
       prepare_nothing,
       read_manifest_file,
       {{json_lines_seeds, write_bytes}}},
      {"tar", "x.tar", prepare_nothing, read_shard, {{tar_seeds, write_bytes}}},
  };
}

}  // namespace softmoe::fuzz
