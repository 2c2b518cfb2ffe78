#pragma once
/// Python and the libraries that this project is compared with; scripts/peers.sh installs them.

#include <optional>
#include <string>
#include <vector>

#include "support/run_program.h"

namespace softmoe::test {

/// The reason why a test that needs them is skipped.
inline constexpr const char* kNoPeers = "needs the Python libraries of scripts/peers.sh";

/// The interpreter: $SOFTMOE_PEERS_PYTHON, or that of .deps/peers; nothing if there is none.
std::optional<std::string> peers_python();

/// Runs `script`, a file below tests/, with arguments. There must be an interpreter.
ProgramRun run_peer(const std::string& script, const std::vector<std::string>& arguments);

}  // namespace softmoe::test
