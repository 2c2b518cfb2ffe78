#pragma once
/// Adafactor as big_vision trains with it.

#include <vector>

#include "train/optimizer.h"

namespace softmoe {

/// Shazeer and Stern, arXiv:1804.04235, as big_vision's scale_by_adafactor (Zhai et al.,
/// arXiv:2106.04560, section 3.4): the mean squares of a tensor whose two largest dimensions are at
/// least 32 are factored into those of its rows and columns, their decay is min(beta2, 1 -
/// step^-0.8), and the momentum (`beta1`) is kept in bf16: about half of the memory of one fp32
/// copy.
class Adafactor : public Optimizer {
 public:
  Adafactor(const std::vector<NamedParameter>& parameters, const OptimizerOptions& options);

 protected:
  void update(const Group& group, double lr) override;

 private:
  double beta1_;
  double beta2_;
};

}  // namespace softmoe
