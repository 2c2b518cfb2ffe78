#include "eval/compact_labels.h"

#include "core/error.h"

namespace softmoe {

CompactLabels compact_labels(const FeatureSet& train, const FeatureSet& test) {
  const auto [classes, train_labels, counts] =
      at::unique_dim(train.labels.cpu(), /*dim=*/0, /*sorted=*/true, /*return_inverse=*/true);
  const auto test_labels = test.labels.cpu();                    // [test examples]
  const auto positions = at::searchsorted(classes, test_labels)  // [test examples]
                             .clamp_max(classes.size(0) - 1);
  const auto unknown = classes.index_select(0, positions).ne(test_labels);  // [test examples]
  if (unknown.any().item<bool>()) {
    const auto label = test_labels.masked_select(unknown)[0].item<int64_t>();
    throw InputError(test.name + ": labels", "classes of which " + train.name + " has examples",
                     std::to_string(label));
  }
  return {.train = train_labels, .test = positions, .classes = classes.size(0)};
}

}  // namespace softmoe
