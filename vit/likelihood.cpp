#include "vit/likelihood.h"

namespace softmoe {

torch::Tensor class_probabilities(const torch::Tensor& logits, Likelihood likelihood) {
  return likelihood == Likelihood::kSoftmax ? logits.softmax(/*dim=*/1)
                                            : logits.sigmoid();  // [batch, classes]
}

}  // namespace softmoe
