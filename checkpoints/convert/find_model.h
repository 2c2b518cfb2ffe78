#pragma once
/// Where in a file the parameters of a model are, and of which family they are.

#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/formats/opaque_object.h"

namespace softmoe {

/// The parameters of one model in a file.
struct FoundModel {
  const Family* family = nullptr;
  std::string prefix;    ///< of the names in the file, wrappers included
  NamedTensors tensors;  ///< without the prefix; scanned blocks are split
  /// Names of tensors that are no part of the model, without what they share with its prefix.
  std::vector<std::string> left_out;
  std::vector<std::string> unmatched;  ///< those that look like parts that the family does not know
  std::vector<std::string> prefixes;   ///< of all models in the file
};

/// Finds the model in `tensors`: of `family` if that is not empty, after `prefix` if that is not
/// empty. Wrappers are taken off all names first. Tensors that stand beside the model or in it
/// without being part of it are left out (is_other_tensor()); other heads are not
/// (is_classifier()), unless `prefix` is given. Throws InputError that starts with `where` if no
/// family fits, several prefixes do, adapters are not merged, or one of the `opaque` objects of the
/// file is in place of the model or of a tensor of it.
FoundModel find_model(const NamedTensors& tensors, const std::string& family,
                      const std::string& prefix, const std::string& where,
                      const std::vector<OpaqueObject>& opaque = {});

}  // namespace softmoe
