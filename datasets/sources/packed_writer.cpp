#include "datasets/sources/packed_writer.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <opencv2/core.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "datasets/image_file.h"
#include "datasets/ordered_work.h"
#include "datasets/sources/packed_index.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

constexpr size_t kWriteBytes = size_t{8} << 20;
constexpr int64_t kChunkBytes = int64_t{128} << 10;
constexpr int64_t kPlacesPerWorker = 4;  // images that wait to be written

/// Appends images to a packed file in large pieces.
class PackWriter {
 public:
  PackWriter(Hdf5File& file, PackedIndex& index) : file_(file), index_(index) {}

  void add(const Sample& sample, const std::vector<uint8_t>& bytes, const std::string& name) {
    const std::vector<int64_t> shape = {sample.image.rows, sample.image.cols,
                                        sample.image.channels()};
    if (index_.labels.empty()) {
      begin(shape);
    } else if (index_.raw && shape != index_.shape) {
      throw InputError(name,
                       fmt::format("{}x{} with {} channels as the images before (raw layout)",
                                   index_.shape[0], index_.shape[1], index_.shape[2]),
                       fmt::format("{}x{} with {}", shape[0], shape[1], shape[2]));
    }
    written_ += static_cast<int64_t>(bytes.size());
    index_.labels.push_back(sample.label);
    index_.checksums.push_back(XXH3_64bits(bytes.data(), bytes.size()));
    index_.ends.push_back(written_);
    index_.names.insert(index_.names.end(), name.begin(), name.end());
    index_.name_ends.push_back(std::ssize(index_.names));
    pending_.insert(pending_.end(), bytes.begin(), bytes.end());
    if (pending_.size() >= kWriteBytes) {
      flush();
    }
  }

  void flush() {
    if (!pending_.empty()) {
      const auto row = index_.raw ? index_.ends.front() : 1;
      file_.append(index_.raw ? "/images" : "/bytes", std::ssize(pending_) / row, pending_.data());
      pending_.clear();
    }
  }

  int64_t written() const { return written_; }

 private:
  void begin(const std::vector<int64_t>& shape) {
    if (!index_.raw) {
      file_.create_growing("/bytes", Hdf5Type::kUInt8, {}, kChunkBytes);
      return;
    }
    index_.shape = shape;
    const int64_t image = shape[0] * shape[1] * shape[2];
    file_.create_growing("/images", Hdf5Type::kUInt8, shape,
                         std::max<int64_t>(1, kChunkBytes / image));
  }

  Hdf5File& file_;
  PackedIndex& index_;
  std::vector<uint8_t> pending_;
  int64_t written_ = 0;
};

/// An image that is ready to be written, or the reason why it is not.
struct PackedImage {
  Sample sample;
  std::vector<uint8_t> bytes;
  std::string error;
};

/// The bytes that are stored for image `number`; also decodes the image to `sample`.
std::vector<uint8_t> stored_bytes(const Dataset& dataset, int64_t number, bool raw,
                                  Sample& sample) {
  if (!raw) {
    if (auto bytes = dataset.encoded_bytes(number)) {
      sample = {decode_image(*bytes, dataset.sample_name(number)), dataset.label(number)};
      return std::move(*bytes);
    }
  }
  sample = dataset.get(number);
  if (!raw) {
    return encode_png(sample.image);
  }
  const cv::Mat pixels = sample.image.isContinuous() ? sample.image : sample.image.clone();
  return {pixels.datastart, pixels.datastart + pixels.total() * pixels.elemSize()};
}

PackedImage packed_image(const Dataset& dataset, int64_t number, bool raw) {
  PackedImage image;
  try {
    image.bytes = stored_bytes(dataset, number, raw, image.sample);
  } catch (const InputError& error) {
    image.error = error.what();
  }
  return image;
}

bool has_files(const Dataset& dataset) {
  // The first image may be unreadable.
  for (int64_t index = 0; index < dataset.size(); ++index) {
    try {
      return dataset.encoded_bytes(index).has_value();
    } catch (const InputError&) {
    }
  }
  return false;
}

void note_bad(PackReport& report, BadImage image, int64_t limit, int64_t size) {
  report.bad.push_back(std::move(image));
  if (std::ssize(report.bad) <= limit) {
    log_line("left out: " + report.bad.back().reason);
    return;
  }
  std::string list;
  for (const auto& bad : report.bad) {
    list += (list.empty() ? " " : "; ") + bad.reason;
  }
  throw InputError(fmt::format("more than --max-bad-images, {} of {} images, cannot be read:{}",
                               limit, size, list));
}

}  // namespace

void describe(OptionTable& table, PackOptions& options) {
  table.add("layout", options.layout,
            "how images are stored: encoded (files as they are) or raw (pixels of one size); auto: "
            "encoded if the source has files");
  table.add("max-bad-images", options.max_bad_images,
            "share of the images that may be unreadable; each is named and left out",
            {.min = 0, .max = 1});
}

PackReport pack_dataset(const Dataset& dataset, const std::filesystem::path& path,
                        const std::string& split, const PackOptions& options) {
  PackReport report;
  PackedIndex index;
  index.source = options.source;
  index.raw = options.layout == PackLayout::kRaw ||
              (options.layout == PackLayout::kAuto && !has_files(dataset));
  index.split = split;
  index.class_names = dataset.class_names();
  const auto limit =
      static_cast<int64_t>(options.max_bad_images * static_cast<double>(dataset.size()));
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    auto file = Hdf5File::create(temporary, path);
    PackWriter writer(file, index);
    Progress progress("Pack " + path.filename().string(), dataset.size(), "images");
    std::vector<PackedImage> images(
        static_cast<size_t>(kPlacesPerWorker * std::max<int64_t>(1, options.workers)));
    for_each_in_order(
        dataset.size(), options.workers, std::ssize(images),
        [&](int64_t number, int64_t place) {
          images[static_cast<size_t>(place)] = packed_image(dataset, number, index.raw);
        },
        [&](int64_t number, int64_t place) {
          const auto& image = images[static_cast<size_t>(place)];
          if (image.error.empty()) {
            writer.add(image.sample, image.bytes, dataset.sample_name(number));
          } else {
            note_bad(report, {number, image.error}, limit, dataset.size());
          }
          progress.update(number + 1);
        });
    if (index.labels.empty()) {
      throw InputError(path.string() + ": no image to pack");
    }
    writer.flush();
    write_index(file, index);
    file.close();
    report.bytes = writer.written();
  });
  report.images = index.size();
  return report;
}

}  // namespace softmoe
