#include "datasets/subset.h"

#include "datasets/splits.h"

namespace softmoe {

Subset::Subset(std::shared_ptr<const Dataset> whole, std::vector<int64_t> indices)
    : whole_(std::move(whole)), indices_(std::move(indices)) {}

Subset::Subset(const Dataset& whole, std::vector<int64_t> indices)
    : Subset(std::shared_ptr<const Dataset>(std::shared_ptr<void>(), &whole), std::move(indices)) {}

int64_t Subset::at(int64_t index) const {
  check_index(index, size());
  return indices_[static_cast<size_t>(index)];
}

int64_t spread_index(int64_t size, int64_t number, int64_t count) {
  return static_cast<int64_t>(static_cast<double>(number) / static_cast<double>(count) *
                              static_cast<double>(size));
}

Subset spread_subset(const Dataset& whole, int64_t max_images) {
  std::vector<int64_t> indices(static_cast<size_t>(std::min(whole.size(), max_images)));
  for (size_t number = 0; number < indices.size(); ++number) {
    indices[number] = spread_index(whole.size(), static_cast<int64_t>(number), std::ssize(indices));
  }
  return {whole, std::move(indices)};
}

}  // namespace softmoe
