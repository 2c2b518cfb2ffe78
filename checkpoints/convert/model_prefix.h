#pragma once
/// What precedes the names of a model in a file.

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "core/named_tensors.h"

namespace softmoe {

/// `name` without the parts that PyTorch's wrappers add anywhere: "module." of data parallel
/// training, "_orig_mod." of torch.compile, "_fsdp_wrapped_module.",
/// "_checkpoint_wrapped_module.", "_forward_module.".
std::string without_wrappers(const std::string& name);

/// `tensors` under their names without wrappers. Of two that would get one name, the second keeps
/// its own.
NamedTensors without_wrappers(const NamedTensors& tensors);

/// What precedes `anchor` in `name`; nothing if it does not end with it.
std::optional<std::string> prefix_before(const std::string& name, std::string_view anchor);

/// Chooses the model of images among those after `prefixes`, of which there is at least one:
/// `asked` if that is not empty, else the one whose place is usual, else the teacher of a student
/// of the same shape (DINO evaluates it) or the student of another teacher, else the only one that
/// is no moving average. Throws InputError that starts with `where` if this does not decide.
std::string choose_prefix(const std::set<std::string>& prefixes, const NamedTensors& tensors,
                          const std::string& asked, const std::string& where);

}  // namespace softmoe
