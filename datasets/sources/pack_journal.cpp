#include "datasets/sources/pack_journal.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstring>

#include "core/error.h"
#include "io/file_error.h"

namespace softmoe {
namespace {

/// What stands before the bytes of an image. Files stay on the machine that wrote them.
struct JournalRecord {
  int64_t number;
  int64_t bytes;
  int64_t rows;
  int64_t columns;
  int64_t channels;
  uint64_t checksum;      // XXH3-64 of the image's bytes
  uint64_t own_checksum;  // of the members above

  uint64_t expected_checksum() const {
    return XXH3_64bits(this, offsetof(JournalRecord, own_checksum));
  }
};

/// The first line: what the journal is of.
std::string first_line(int64_t images, const std::string& key) {
  return fmt::format("softmoe pack journal 1: {} images, {:016x}\n", images,
                     XXH3_64bits(key.data(), key.size()));
}

/// The length of a journal that begins with `line`; 0 if there is no such file.
int64_t usable_length(const std::filesystem::path& path, const std::string& line) {
  if (!std::filesystem::exists(path)) {
    return 0;
  }
  std::string found(line.size(), '\0');
  const bool is_same = RangeFile(path).read(0, found.data(), std::ssize(found)) && found == line;
  return is_same ? file_length(path) : 0;
}

}  // namespace

PackJournal::PackJournal(const std::filesystem::path& path, int64_t images, const std::string& key)
    : file_(path, usable_length(path, first_line(images, key))),
      input_(path),
      place_(static_cast<size_t>(images), 0) {
  const auto line = first_line(images, key);
  if (file_.size() == 0) {
    file_.append(line);
  }
  find_images(std::ssize(line));
}

/// Finds the records from `begin` on, and cuts off what is not whole.
void PackJournal::find_images(int64_t begin) {
  JournalRecord record{};
  int64_t place = begin;
  while (input_.read(place, &record, sizeof(record))) {
    const int64_t end = place + static_cast<int64_t>(sizeof(record)) + record.bytes;
    if (record.own_checksum != record.expected_checksum() || record.number < 0 ||
        record.number >= std::ssize(place_) || record.bytes < 0 || end > file_.size()) {
      break;
    }
    place_[static_cast<size_t>(record.number)] = place;
    place = end;
  }
  file_.cut(place);
}

std::vector<int64_t> PackJournal::missing() const {
  std::vector<int64_t> numbers;
  for (int64_t number = 0; number < std::ssize(place_); ++number) {
    if (!contains(number)) {
      numbers.push_back(number);
    }
  }
  return numbers;
}

void PackJournal::append(int64_t number, const StoredImage& image) {
  JournalRecord record{.number = number,
                       .bytes = std::ssize(image.bytes),
                       .rows = image.rows,
                       .columns = image.columns,
                       .channels = image.channels,
                       .checksum = XXH3_64bits(image.bytes.data(), image.bytes.size()),
                       .own_checksum = 0};
  record.own_checksum = record.expected_checksum();
  std::string text(sizeof(record) + image.bytes.size(), '\0');
  std::memcpy(text.data(), &record, sizeof(record));
  std::memcpy(text.data() + sizeof(record), image.bytes.data(), image.bytes.size());
  const int64_t place = file_.size();
  file_.append(text);
  place_[static_cast<size_t>(number)] = place;
}

StoredImage PackJournal::read(int64_t number) const {
  const int64_t place = place_[static_cast<size_t>(number)];
  JournalRecord record{};
  StoredImage image;
  bool good = input_.read(place, &record, sizeof(record)) && record.number == number &&
              record.own_checksum == record.expected_checksum();
  if (good) {
    image = {std::vector<uint8_t>(static_cast<size_t>(record.bytes)), record.rows, record.columns,
             record.channels};
    good = input_.read(place + static_cast<int64_t>(sizeof(record)), image.bytes.data(),
                       record.bytes) &&
           XXH3_64bits(image.bytes.data(), image.bytes.size()) == record.checksum;
  }
  if (!good) {
    throw InputError(fmt::format("{}: image {} is damaged; remove the file and pack again",
                                 file_.path().string(), number));
  }
  return image;
}

}  // namespace softmoe
