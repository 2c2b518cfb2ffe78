#pragma once
/// Initial values of parameters, by the names of the literature.

#include <torch/types.h>

namespace softmoe {

/// While one exists in a thread, the functions below leave tensors as they are: for modules whose
/// weights are about to be loaded, for which drawing billions of numbers first is a waste.
class SkipInitialization {
 public:
  SkipInitialization();
  ~SkipInitialization();
  SkipInitialization(const SkipInitialization&) = delete;
  SkipInitialization& operator=(const SkipInitialization&) = delete;

 private:
  bool previous_;
};

/// Returns true if one exists in this thread.
bool initialization_skipped();

/// New parameters of this thread get `dtype` for the life of the object, so that a model of
/// billions of parameters is made directly in bf16.
class DefaultDtypeGuard {
 public:
  explicit DefaultDtypeGuard(torch::Dtype dtype);
  ~DefaultDtypeGuard();
  DefaultDtypeGuard(const DefaultDtypeGuard&) = delete;
  DefaultDtypeGuard& operator=(const DefaultDtypeGuard&) = delete;

 private:
  torch::Dtype previous_;
};

/// Fills in place with the value.
void init_constant(torch::Tensor& tensor, double value);
/// Normal with mean 0.
void init_normal(torch::Tensor& tensor, double standard_deviation);
/// Normal with variance 1 / fan_in, cut off at two standard deviations as in Flax (LeCun, 1998).
void init_lecun_normal(torch::Tensor& tensor, int64_t fan_in);
/// Uniform with variance 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).
void init_xavier_uniform(torch::Tensor& tensor, int64_t fan_in, int64_t fan_out);
/// A matrix whose rows (or columns, if there are fewer) are orthogonal, each of length `gain`,
/// uniformly among all such (Saxe et al., arXiv:1312.6120).
void init_orthogonal(torch::Tensor& tensor, double gain);

}  // namespace softmoe
