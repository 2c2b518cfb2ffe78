#include "checkpoints/stored_tokenizer.h"

#include <ATen/Functions.h>

#include <cstring>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr const char* kData = "data";

}  // namespace

NamedTensors tokenizer_tensors(const StoredTokenizer& tokenizer) {
  if (tokenizer.data.empty()) {
    return {};
  }
  const auto bytes = torch::empty({std::ssize(tokenizer.data)}, torch::kUInt8);
  std::memcpy(bytes.mutable_data_ptr(), tokenizer.data.data(), tokenizer.data.size());
  return {{kData, bytes}};
}

std::string tokenizer_data(const NamedTensors& tensors, const std::string& where) {
  const auto found = tensors.find(kData);
  if (found == tensors.end()) {
    return "";
  }
  const auto bytes = found->second.contiguous();
  if (bytes.scalar_type() != torch::kUInt8 || bytes.dim() != 1) {
    throw InputError(where + ": tokenizer", "bytes", c10::toString(bytes.scalar_type()));
  }
  return {static_cast<const char*>(bytes.const_data_ptr()), static_cast<size_t>(bytes.numel())};
}

}  // namespace softmoe
