#include "support/peers.h"

#include <cstdlib>
#include <filesystem>

namespace softmoe::test {

namespace {

namespace fs = std::filesystem;

const fs::path kSourceFolder = SOFTMOE_SOURCE_FOLDER;

}  // namespace

std::optional<std::string> peers_python() {
  const char* const given = std::getenv("SOFTMOE_PEERS_PYTHON");
  const fs::path python =
      given != nullptr ? fs::path(given) : kSourceFolder / ".deps" / "peers" / "bin" / "python3";
  std::error_code unknown;
  return fs::exists(python, unknown) ? std::optional(python.string()) : std::nullopt;
}

ProgramRun run_peer(const std::string& script, const std::vector<std::string>& arguments) {
  ProgramSetting setting;
  setting.executable = peers_python().value();
  setting.timeout = std::chrono::seconds(300);
  // Tests must not fetch anything.
  setting.environment = {{"HF_HUB_OFFLINE", "1"}, {"OMP_NUM_THREADS", "2"}};
  std::vector<std::string> argv{(kSourceFolder / "tests" / script).string()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run_program(argv, setting);
}

}  // namespace softmoe::test
