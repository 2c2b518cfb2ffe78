#pragma once
/// Where in a file the parameters of a model are, and of which family they are.

#include <string>
#include <vector>

#include "checkpoints/convert/families.h"

namespace softmoe {

/// The parameters of one model in a file.
struct FoundModel {
  const Family* family = nullptr;
  std::string prefix;                 ///< of the names in the file
  NamedTensors tensors;               ///< without the prefix; scanned blocks are split
  std::vector<std::string> left_out;  ///< names that are no part of the model: text towers, poolers
  std::vector<std::string> unmatched;  ///< names that the family does not know
};

/// Finds the model in `tensors`: of `family` if that is not empty, after `prefix` if that is not
/// empty; tensors elsewhere are left out then. Throws InputError that starts with `where` if no
/// family fits, or several prefixes do.
FoundModel find_model(const NamedTensors& tensors, const std::string& family,
                      const std::string& prefix, const std::string& where);

}  // namespace softmoe
