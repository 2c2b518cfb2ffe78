#pragma once
/// The table of kinds of tokenizers: one row each.

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "text/tokenizer.h"

namespace softmoe {

/// A kind of tokenizer.
struct TokenizerRow {
  std::string_view name;
  std::string_view meaning;
  std::string_view source;
  /// Makes a tokenizer of what Tokenizer::data() gave. Throws InputError that names `where`.
  std::unique_ptr<Tokenizer> (*make)(const std::string& data, const std::string& where);
};

/// bytes, bpe, clip and siglip.
std::span<const TokenizerRow> tokenizer_rows();

/// The tokenizer of `kind` that has `data`, as a checkpoint or file `where` stores it. Throws
/// InputError that names `where` for a kind that does not exist and for bad data.
std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind, const std::string& data,
                                          const std::string& where);

}  // namespace softmoe
