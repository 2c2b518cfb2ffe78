#include "datasets/sources/packed_writer.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <opencv2/core.hpp>

#include "core/error.h"
#include "core/interrupt_guard.h"
#include "core/json_text.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/progress.h"
#include "datasets/image_file.h"
#include "datasets/ordered_work.h"
#include "datasets/sources/pack_journal.h"
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

  /// Adds image `number` of `dataset`, which is stored as `image`.
  void add(const StoredImage& image, const Dataset& dataset, int64_t number) {
    const auto& bytes = image.bytes;
    const auto name = dataset.sample_name(number);
    if (index_.size() == 0) {
      begin();
    }
    written_ += static_cast<int64_t>(bytes.size());
    if (index_.multi_label) {
      const auto labels = dataset.labels(number);
      index_.labels.insert(index_.labels.end(), labels.begin(), labels.end());
      index_.label_ends.push_back(std::ssize(index_.labels));
    } else {
      index_.labels.push_back(dataset.label(number));
    }
    if (dataset.has_captions()) {
      const auto caption = dataset.caption(number);
      index_.captions.insert(index_.captions.end(), caption.begin(), caption.end());
      index_.caption_ends.push_back(std::ssize(index_.captions));
    }
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
  void begin() {
    if (!index_.raw) {
      file_.create_growing("/bytes", Hdf5Type::kUInt8, {}, kChunkBytes);
      return;
    }
    const auto& shape = index_.shape;
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
  StoredImage image;
  std::string error;
};

/// Image `number` as it is stored, after it was decoded.
StoredImage stored_image(const Dataset& dataset, int64_t number, bool raw) {
  auto file = raw ? std::nullopt : dataset.encoded_bytes(number);
  const cv::Mat pixels =
      file ? decode_image(*file, dataset.sample_name(number)) : dataset.get(number).image;
  StoredImage stored{{}, pixels.rows, pixels.cols, pixels.channels()};
  if (file) {
    stored.bytes = std::move(*file);
  } else if (!raw) {
    stored.bytes = encode_png(pixels);
  } else {
    const cv::Mat whole = pixels.isContinuous() ? pixels : pixels.clone();
    stored.bytes.assign(whole.ptr(), whole.ptr() + whole.total() * whole.elemSize());
  }
  return stored;
}

PackedImage packed_image(const Dataset& dataset, int64_t number, bool raw) {
  PackedImage image;
  try {
    image.image = stored_image(dataset, number, raw);
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

/// What tells a set, and how it is packed, from others.
std::string pack_key(const Dataset& dataset, const PackedIndex& index) {
  auto key = fmt::format("{} {} {} {}\n", index.raw, index.split, index.source,
                         json_text(index.class_names));
  for (int64_t number = 0; number < dataset.size(); ++number) {
    key +=
        fmt::format("{} {}\n", fmt::join(dataset.labels(number), ";"), dataset.sample_name(number));
    if (dataset.has_captions()) {
      key += dataset.caption(number) + "\n";
    }
  }
  return key;
}

/// Throws InputError if images of several sizes are to be stored in raw layout.
void check_shape(PackedIndex& index, const StoredImage& image, const std::string& name) {
  const std::vector<int64_t> shape = {image.rows, image.columns, image.channels};
  if (index.raw && index.shape.empty()) {
    index.shape = shape;
  } else if (index.raw && shape != index.shape) {
    throw InputError(name,
                     fmt::format("{}x{} with {} channels as the images before (raw layout)",
                                 index.shape[0], index.shape[1], index.shape[2]),
                     fmt::format("{}x{} with {}", shape[0], shape[1], shape[2]));
  }
}

/// Adds the images that `journal` lacks. Throws Interrupted after Ctrl-C.
void fill_journal(PackJournal& journal, const Dataset& dataset, PackedIndex& index,
                  const PackOptions& options, PackReport& report) {
  const auto limit =
      static_cast<int64_t>(options.max_bad_images * static_cast<double>(dataset.size()));
  const auto numbers = journal.missing();
  const int64_t before = dataset.size() - std::ssize(numbers);
  if (before > 0) {
    log_line(fmt::format("{}: {} of {} are there, packing goes on", journal.path().string(), before,
                         pluralize(dataset.size(), "image")));
  }
  const InterruptGuard interrupt;
  Progress progress("Pack " + journal.path().stem().string(), dataset.size(), "images");
  std::vector<PackedImage> images(
      static_cast<size_t>(kPlacesPerWorker * std::max<int64_t>(1, options.workers)));
  for_each_in_order(
      std::ssize(numbers), options.workers, std::ssize(images),
      [&](int64_t item, int64_t place) {
        images[static_cast<size_t>(place)] =
            packed_image(dataset, numbers[static_cast<size_t>(item)], index.raw);
      },
      [&](int64_t item, int64_t place) {
        const auto& image = images[static_cast<size_t>(place)];
        const int64_t number = numbers[static_cast<size_t>(item)];
        if (image.error.empty()) {
          check_shape(index, image.image, dataset.sample_name(number));
          journal.append(number, image.image);
        } else {
          note_bad(report, {number, image.error}, limit, dataset.size());
        }
        progress.update(before + item + 1);
        if (interrupt_requested()) {
          throw Interrupted(fmt::format(
              "interrupted after {} of {}; the same command started again goes on from there",
              before + item + 1, pluralize(dataset.size(), "image")));
        }
      });
}

/// Writes the packed file of the images in `journal`.
void write_packed(const PackJournal& journal, const Dataset& dataset,
                  const std::filesystem::path& path, PackedIndex& index, PackReport& report) {
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    auto file = Hdf5File::create(temporary, path);
    PackWriter writer(file, index);
    Progress progress("Write " + path.filename().string(), dataset.size(), "images");
    for (int64_t number = 0; number < dataset.size(); ++number) {
      if (journal.contains(number)) {
        const auto image = journal.read(number);
        check_shape(index, image, dataset.sample_name(number));
        writer.add(image, dataset, number);
      }
      progress.update(number + 1);
    }
    if (index.size() == 0) {
      throw InputError(path.string() + ": no image to pack");
    }
    writer.flush();
    write_index(file, index);
    file.close();
    report.bytes = writer.written();
  });
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
  index.multi_label = dataset.is_multi_label();
  index.split = split;
  index.class_names = dataset.class_names();
  if (auto texts = dataset.class_texts(); texts != dataset.Dataset::class_texts()) {
    index.class_texts = std::move(texts);
  }
  check_can_write(path);
  const std::filesystem::path journal_path = link_target(path).string() + ".part";
  std::filesystem::create_directories(std::filesystem::absolute(journal_path).parent_path());
  {
    PackJournal journal(journal_path, dataset.size(), pack_key(dataset, index));
    fill_journal(journal, dataset, index, options, report);
    write_packed(journal, dataset, path, index, report);
  }
  std::filesystem::remove(journal_path);
  report.images = index.size();
  return report;
}

}  // namespace softmoe
