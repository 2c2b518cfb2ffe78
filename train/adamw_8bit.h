#pragma once
/// AdamW with both moments in 8 bits.

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// AdamW (train/adamw.h) whose moments are stored as ops/quantized_moments.h says: in 2.03 bytes
/// per parameter, not 8. Tensors of less than 4,096 elements keep theirs as they are (Dettmers et
/// al., arXiv:2110.02861, as in bitsandbytes).
class AdamW8Bit : public Optimizer {
 public:
  AdamW8Bit(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update(const Group& group, double lr) override;

 private:
  OptimizerOptions options_;
};

}  // namespace softmoe
