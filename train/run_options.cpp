#include "train/run_options.h"

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
  return loader;
}

}  // namespace softmoe
