#pragma once
/// Features for tests of few-shot evaluation.

#include <string>
#include <vector>

#include "eval/feature_set.h"
#include "io/npz.h"
#include "support/temporary_folder.h"

namespace softmoe::test {

/// The reference's case, with its own choice of examples.
struct ReferenceCase {
  NamedTensors arrays = read_npz(fixture("vmoe/fewshot.npz"));

  torch::Tensor at(const std::string& name) const {
    return npz_array(arrays, name, "vmoe/fewshot.npz");
  }
  torch::Tensor features(const std::string& split) const {
    return at("d32_c10/" + split + "_features");
  }
  torch::Tensor labels(const std::string& split) const {
    return at("d32_c10/" + split + "_labels").to(torch::kInt64);
  }
  torch::Tensor subset(int64_t shots) const {
    return at("d32_c10/shot" + std::to_string(shots) + "/train_index").to(torch::kInt64);
  }
};

std::vector<double> to_vector(const torch::Tensor& tensor);

/// Separable classes: class c lies around the c-th corner of a simplex, with deviation `spread`.
FeatureSet clusters(const std::string& name, int64_t examples, int64_t dim, int64_t classes,
                    double spread, int64_t seed);

}  // namespace softmoe::test
