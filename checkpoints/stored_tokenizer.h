#pragma once
/// The tokenizer of a model as its checkpoint keeps it.

#include <string>

#include "core/named_tensors.h"

namespace softmoe {

/// A tokenizer as bytes that its own reader understands; here they are only kept.
struct StoredTokenizer {
  std::string kind;  ///< of which reader; empty: there is none
  std::string data;  ///< any bytes

  bool operator==(const StoredTokenizer&) const = default;
};

/// The bytes as the tensors of a checkpoint's group: `data` [bytes] uint8, none if there are none.
NamedTensors tokenizer_tensors(const StoredTokenizer& tokenizer);

/// The bytes of such a group. Throws InputError that starts with `where` if its tensor is of
/// another kind.
std::string tokenizer_data(const NamedTensors& tensors, const std::string& where);

}  // namespace softmoe
