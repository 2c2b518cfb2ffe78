#pragma once
/// Sentences about classes: texts for sets that have labels alone.

#include <string>
#include <vector>

namespace softmoe {

/// The templates that `--caption-templates` names: "default", ours, or a file with one per line,
/// each with one `{}` where the name of the class goes. Throws InputError that names the file and
/// line.
std::vector<std::string> prompt_templates(const std::string& name);

/// `sentence` with `name` for its `{}`.
std::string filled_template(const std::string& sentence, const std::string& name);

}  // namespace softmoe
