#pragma once
/// The vocabulary of a run that reads texts, and what follows from it.

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "text/tokenizer.h"
#include "vit/text_options.h"

namespace softmoe {

/// Calls its argument with each of the texts that a vocabulary is learned from.
using EachText = std::function<void(const std::function<void(const std::string& text)>& use)>;

/// The tokenizer `name`: "bytes", "bpe", which learns `vocab_size` entries from `texts`, or a file.
/// Throws UsageError that names `--text-vocab-size` if it is too small, InputError for a bad file.
std::shared_ptr<const Tokenizer> run_tokenizer(const std::string& name, int64_t vocab_size,
                                               const EachText& texts);

/// Fits `text` to `tokenizer` but for options whose names are in `keep`: the entries of the
/// vocabulary, of which there may be more, and the token that ends a text. Throws UsageError if
/// there are fewer entries, or if the context has less than 2 tokens.
void fit_vocabulary(TextOptions& text, const Tokenizer& tokenizer,
                    const std::set<std::string>& keep);

}  // namespace softmoe
