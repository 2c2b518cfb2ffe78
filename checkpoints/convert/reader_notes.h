#pragma once
/// Notes for the user of a written file.

#include <string>
#include <vector>

#include "checkpoints/convert/families.h"
#include "checkpoints/formats/tensor_format.h"
#include "checkpoints/model_description.h"

namespace softmoe {

/// What a user must tell the code of `family`, as a file of `format` does not say it, and where
/// that code differs from the model of `description`.
std::vector<std::string> reader_notes(TensorFormat format, const Family& family,
                                      const ModelDescription& description);

}  // namespace softmoe
