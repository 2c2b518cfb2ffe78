#pragma once
/// Weights between the names of a family and ours.

#include <cstdint>
#include <string>

#include "checkpoints/convert/families.h"
#include "checkpoints/convert/find_model.h"

namespace softmoe {

/// The tensors of a found model under our names, with zero biases of queries, keys and values if it
/// has none. Throws InputError that starts with `where` and lists tensors that have no counterpart,
/// are incomplete or have a wrong number of axes.
RenamedTensors to_our_names(const FoundModel& found, const std::string& where);

/// Our weights under the names of `family`, without a prefix; `heads` is the number of attention
/// heads. Throws InputError as to_our_names() does.
NamedTensors to_family_names(const NamedTensors& tensors, const Family& family, int64_t heads,
                             const std::string& where);

/// Our name of the tensor `name`, and before it the name in `family` if it is another: for
/// messages.
std::string name_with_family(const Family& family, const std::string& name);

}  // namespace softmoe
