#pragma once
/// Weights of a foreign model while its options are read off them.

#include <string>

#include "checkpoints/convert/families.h"

namespace softmoe {

/// Weights under our names. Errors are InputErrors that start with `where` and name a tensor as its
/// family does, too. All that is given must outlive the object.
class ForeignWeights {
 public:
  ForeignWeights(const NamedTensors& tensors, const Family& family, const std::string& where)
      : tensors_(tensors), family_(family), where_(where) {}

  const NamedTensors& tensors() const { return tensors_; }
  const Family& family() const { return family_; }
  const std::string& where() const { return where_; }

  bool has(const std::string& name) const { return tensors_.contains(name); }
  /// The tensor `name`; throws if it is missing, empty or has another number of axes.
  const torch::Tensor& tensor(const std::string& name, int64_t axes) const;
  /// "FILE: TENSOR", for errors.
  std::string place(const std::string& name) const;

 private:
  const NamedTensors& tensors_;
  const Family& family_;
  const std::string& where_;
};

}  // namespace softmoe
