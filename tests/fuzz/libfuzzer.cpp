/// The readers of fuzz_formats for LLVM's libFuzzer, which mutates inputs by itself; see
/// scripts/fuzz.sh. SOFTMOE_FUZZ_FORMAT names the format; the first byte of an input chooses the
/// layer.

#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "fuzz/formats.h"
#include "support/temporary_folder.h"

namespace {

using softmoe::fuzz::Format;

const Format& chosen_format() {
  const char* name = std::getenv("SOFTMOE_FUZZ_FORMAT");
  const Format* format = softmoe::fuzz::find_format(name == nullptr ? "" : name);
  if (format == nullptr) {
    std::cerr << "SOFTMOE_FUZZ_FORMAT must be one of";
    for (const auto& known : softmoe::fuzz::formats()) {
      std::cerr << " " << known.name;
    }
    std::cerr << "\n";
    std::exit(2);
  }
  return *format;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Format& format = chosen_format();
  static const softmoe::test::TemporaryFolder folder;
  static const bool is_prepared = (format.prepare(folder.path()), true);
  if (size == 0 || !is_prepared) {
    return 0;
  }
  const auto& layer = softmoe::fuzz::chosen_layer(format, static_cast<char>(data[0]));
  softmoe::fuzz::try_input(format, layer, std::string(data + 1, data + size), folder.path());
  return 0;
}
