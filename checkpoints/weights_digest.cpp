#include "checkpoints/weights_digest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <xxhash.h>

#include <memory>

namespace softmoe {
namespace {

struct FreeDigest {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

}  // namespace

std::string weights_digest(const LoadedWeights& model) {
  const std::unique_ptr<XXH3_state_t, FreeDigest> state(XXH3_createState());
  TORCH_CHECK(state != nullptr, "no memory for a checksum");
  XXH3_64bits_reset(state.get());
  const auto add = [&state](const void* data, size_t bytes) {
    XXH3_64bits_update(state.get(), data, bytes);
  };
  const auto description = to_metadata(model.description).dump();
  add(description.data(), description.size());
  for (const auto& [name, tensor] : model.weights) {
    const auto line = fmt::format("\n{} {} {}\n", name, toString(tensor.scalar_type()),
                                  fmt::join(tensor.sizes(), "x"));
    add(line.data(), line.size());
    const auto values = tensor.cpu().contiguous();
    add(values.const_data_ptr(), values.nbytes());
  }
  return fmt::format("{:016x}", XXH3_64bits_digest(state.get()));
}

}  // namespace softmoe
