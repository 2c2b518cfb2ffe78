#include "datasets/formats/tiff_directory.h"

#include <array>

namespace softmoe {
namespace {

constexpr uint64_t kClassic = 42;
constexpr uint64_t kBig = 43;

/// Bytes per value of the kinds 0 to 18; 0 for those that do not exist.
constexpr std::array<uint64_t, 19> kValueBytes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4,
                                               8, 4, 8, 4, 0, 0, 8, 8, 8};

bool is_integer(uint64_t kind) {
  switch (kind) {
    case 1:   // BYTE
    case 3:   // SHORT
    case 4:   // LONG
    case 6:   // SBYTE
    case 8:   // SSHORT
    case 9:   // SLONG
    case 13:  // IFD
    case 16:  // LONG8
    case 17:  // SLONG8
      return true;
    default:
      return false;
  }
}

}  // namespace

TiffDirectory::TiffDirectory(Bytes bytes) : bytes_(bytes) {
  if (has_text(bytes, 0, "MM")) {
    order_ = ByteOrder::kBig;
  } else if (!has_text(bytes, 0, "II")) {
    return;
  }
  const auto version = number_at(bytes, 2, 2, order_);
  if (version != kClassic && version != kBig) {
    return;
  }
  offset_bytes_ = version == kBig ? 8 : 4;
  const auto directory = number_at(bytes, version == kBig ? 8 : 4, offset_bytes_, order_);
  const size_t count_bytes = version == kBig ? 8 : 2;
  if (!directory || *directory > bytes.size()) {
    return;
  }
  first_ = *directory + count_bytes;
  count_ = number_at(bytes, *directory, count_bytes, order_).value_or(0);
}

TiffDirectory::Entry TiffDirectory::entry(uint16_t tag) const {
  const size_t entry_bytes = 4 + 2 * offset_bytes_;
  const size_t value_at = 4 + offset_bytes_;
  auto rest = bytes_from(bytes_, first_);
  for (uint64_t i = 0; i < count_ && rest.size() >= entry_bytes;
       ++i, rest = rest.subspan(entry_bytes)) {
    if (number_at(rest, 0, 2, order_) != tag) {
      continue;
    }
    const auto kind = *number_at(rest, 2, 2, order_);
    const auto count = *number_at(rest, 4, offset_bytes_, order_);
    const auto size = kind < kValueBytes.size() ? kValueBytes[kind] : 0;
    if (size == 0 || count > bytes_.size()) {
      return {};
    }
    // Values that fit stand in the place of their offset.
    return {kind, size * count <= offset_bytes_
                      ? rest.subspan(value_at, size * count)
                      : bytes_at(bytes_, *number_at(rest, value_at, offset_bytes_, order_),
                                 size * count)};
  }
  return {};
}

Bytes TiffDirectory::value_bytes(uint16_t tag) const {
  const auto found = entry(tag);
  if (!is_integer(found.kind) || found.values.size() < kValueBytes[found.kind]) {
    return {};
  }
  return found.values.first(kValueBytes[found.kind]);
}

std::optional<uint64_t> TiffDirectory::value(uint16_t tag) const {
  const auto value = value_bytes(tag);
  return value.empty() ? std::nullopt : number_at(value, 0, value.size(), order_);
}

Bytes TiffDirectory::text(uint16_t tag) const { return entry(tag).values; }

}  // namespace softmoe
