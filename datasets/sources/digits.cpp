#include "datasets/sources/digits.h"

#include <c10/util/Exception.h>
#include <zlib.h>

#include <array>

#include "datasets/sources/raw_dataset.h"

namespace softmoe {
namespace {

constexpr int kDigitSide = 8;
constexpr size_t kDigitPixels = kDigitSide * kDigitSide;
constexpr size_t kImages = 1797;
constexpr size_t kTrainImages = 898;  // the others are by other writers
constexpr int kMaxValue = 16;

// A zlib stream of all labels, then of all pixels; made by the build from data/uci_digits.bin.
constexpr auto kPacked = std::to_array<uint8_t>({
#include "uci_digits.inc"
});

std::vector<uint8_t> unpacked() {
  std::vector<uint8_t> bytes(kImages * (1 + kDigitPixels));
  auto size = static_cast<uLongf>(bytes.size());
  const int code = uncompress(bytes.data(), &size, kPacked.data(), kPacked.size());
  TORCH_INTERNAL_ASSERT(code == Z_OK && size == bytes.size(), "the embedded digits are damaged");
  return bytes;
}

}  // namespace

std::unique_ptr<Dataset> open_digits(SplitKind split) {
  const auto bytes = unpacked();
  const size_t begin = split == SplitKind::kVal ? kTrainImages : 0;
  const size_t end = split == SplitKind::kTrain ? kTrainImages : kImages;
  RawImages images{.height = kDigitSide, .width = kDigitSide};
  images.labels.assign(bytes.begin() + static_cast<ptrdiff_t>(begin),
                       bytes.begin() + static_cast<ptrdiff_t>(end));
  for (size_t i = kImages + begin * kDigitPixels; i < kImages + end * kDigitPixels; ++i) {
    images.pixels.push_back(static_cast<uint8_t>((255 * bytes[i] + kMaxValue / 2) / kMaxValue));
  }
  return std::make_unique<RawDataset>("digits", std::move(images), numbered_classes(10));
}

}  // namespace softmoe
