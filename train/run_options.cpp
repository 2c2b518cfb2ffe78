#include "train/run_options.h"

#include <algorithm>

namespace softmoe {

void describe(OptionTable& table, RunOptions& options) {
  for_each_section(options,
                   [&table](const char* /*title*/, auto& section) { describe(table, section); });
}

LoaderOptions training_loader(const RunOptions& options) {
  auto loader = options.loader;
  loader.seed = static_cast<uint64_t>(options.train.seed);
  loader.shuffle = true;
  loader.drop_last = true;
  loader.sampling = options.sampling.sampling;
  loader.repeats = std::max<int64_t>(1, options.preprocess.augment.aug_repeats);
  return loader;
}

}  // namespace softmoe
