#include "datasets/sources/raw_dataset.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <cstring>

#include "core/error.h"
#include "datasets/splits.h"

namespace softmoe {

RawDataset::RawDataset(std::string name, RawImages images, std::vector<std::string> class_names)
    : name_(std::move(name)), images_(std::move(images)), class_names_(std::move(class_names)) {
  const size_t bytes = static_cast<size_t>(images_.height) * static_cast<size_t>(images_.width) *
                       static_cast<size_t>(images_.channels);
  TORCH_CHECK_VALUE(images_.channels == 1 || images_.channels == 3,
                    "RawDataset: ", images_.channels, " channels");
  TORCH_CHECK_VALUE(images_.pixels.size() == bytes * images_.labels.size(),
                    "RawDataset: ", images_.pixels.size(), " bytes for ", images_.labels.size(),
                    " images of ", bytes);
  for (size_t index = 0; index < images_.labels.size(); ++index) {
    if (images_.labels[index] < 0 || images_.labels[index] >= std::ssize(class_names_)) {
      throw InputError(fmt::format("{}[{}]: label", name_, index),
                       fmt::format("below {}", class_names_.size()),
                       std::to_string(images_.labels[index]));
    }
  }
}

Sample RawDataset::get(int64_t index) const {
  check_index(index, size());
  const size_t bytes = static_cast<size_t>(images_.height * images_.width * images_.channels);
  Sample sample;
  sample.image.create(images_.height, images_.width, CV_8UC(images_.channels));
  std::memcpy(sample.image.data, images_.pixels.data() + static_cast<size_t>(index) * bytes, bytes);
  sample.label = images_.labels[static_cast<size_t>(index)];
  return sample;
}

int64_t RawDataset::label(int64_t index) const {
  check_index(index, size());
  return images_.labels[static_cast<size_t>(index)];
}

std::string RawDataset::sample_name(int64_t index) const {
  return fmt::format("{}[{}]", name_, index);
}

}  // namespace softmoe
