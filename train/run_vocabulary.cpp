#include "train/run_vocabulary.h"

#include <fmt/format.h>

#include "core/error.h"
#include "core/log.h"
#include "text/bpe_tokenizer.h"
#include "text/bpe_training.h"
#include "text/byte_tokenizer.h"
#include "text/tokenizer_file.h"

namespace softmoe {

std::shared_ptr<const Tokenizer> run_tokenizer(const std::string& name, int64_t vocab_size,
                                               const EachText& texts) {
  if (name == "bytes") {
    return std::make_shared<ByteTokenizer>();
  }
  if (name != "bpe") {
    return read_tokenizer(name);
  }
  if (vocab_size < kMinBpeVocabulary) {
    throw UsageError("--text-vocab-size",
                     fmt::format("{} or more for --tokenizer bpe", kMinBpeVocabulary),
                     std::to_string(vocab_size));
  }
  PartCounts parts;
  texts([&](const std::string& text) { parts.add(text); });
  auto tokenizer =
      std::make_shared<BpeTokenizer>(learn_merges(parts, vocab_size - kMinBpeVocabulary));
  log_line(fmt::format("vocabulary of {} entries learned from the training texts",
                       tokenizer->vocab_size()));
  return tokenizer;
}

void fit_vocabulary(TextOptions& text, const Tokenizer& tokenizer,
                    const std::set<std::string>& keep) {
  if (!keep.contains("text-vocab-size") || text.vocab_size > tokenizer.vocab_size()) {
    text.vocab_size = tokenizer.vocab_size();
  } else if (text.vocab_size < tokenizer.vocab_size()) {
    throw UsageError(
        "--text-vocab-size",
        fmt::format("at least {}, the entries of the vocabulary", tokenizer.vocab_size()),
        std::to_string(text.vocab_size));
  }
  if (keep.contains("text-context") && text.context < 2) {
    throw UsageError("--text-context", "2 or more tokens", std::to_string(text.context));
  }
  if (!keep.contains("text-eot-token") && text.pool == TextPool::kEot) {
    text.eot_token = tokenizer.end_id();
  }
}

}  // namespace softmoe
