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

}  // namespace softmoe
