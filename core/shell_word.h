#pragma once
/// Words of commands that messages and reports show.

#include <string>

namespace softmoe {

/// `word` as an argument that can be copied into a shell: quoted if it has to be.
std::string shell_word(const std::string& word);

}  // namespace softmoe
