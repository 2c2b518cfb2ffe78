#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/print_line.h"
#include "core/error.h"
#include "core/log.h"
#include "core/pluralize.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "text/bpe_tokenizer.h"
#include "text/bpe_training.h"
#include "text/tokenizer_file.h"

namespace softmoe::cli {
namespace {

struct TokenizerFlags {
  std::string action;
  int64_t vocab_size = 8192;
  std::string output;
  int64_t max_tokens = 1'000'000;

  bool operator==(const TokenizerFlags&) const = default;
};

void describe(OptionTable& table, TokenizerFlags& flags) {
  table.add("action", flags.action,
            "train: learn a vocabulary of byte pairs from text files, line by line; convert: write "
            "the vocabulary of a file in the format of OUTPUT's name; encode: show the tokens of "
            "texts, behind the file of the vocabulary",
            {.choices = {"train", "convert", "encode"}});
  table.add("vocab-size", flags.vocab_size,
            "train: max entries of the vocabulary: 3 marks, 256 bytes, then pairs",
            {.unit = "entries", .min = kMinBpeVocabulary, .max = 10'000'000});
  table.add("output", flags.output,
            "train, convert: .json (any vocabulary), .txt.gz (CLIP's merges), .model (SigLIP's "
            "spiece.model), or a folder (CLIP's vocab.json and merges.txt)",
            {.unit = "path"});
  table.add("max-tokens", flags.max_tokens, "encode: max tokens of a text",
            {.unit = "tokens", .min = 2});
}

/// Throws UsageError if there is no `output`.
void require_output(const TokenizerFlags& flags) {
  if (flags.output.empty()) {
    throw UsageError("--output is missing: what tokenizer " + flags.action + " writes");
  }
}

Json summary_of(const Tokenizer& tokenizer) {
  return {{"kind", std::string(tokenizer.kind())}, {"vocab_size", tokenizer.vocab_size()}};
}

Json train(const TokenizerFlags& flags, const std::vector<std::string>& files) {
  require_output(flags);
  PartCounts parts;
  for (const auto& file : files) {
    for (const auto& text : split_text(read_text_file(file), '\n')) {
      parts.add(trimmed(text, "\r"));
    }
  }
  if (parts.empty()) {
    throw InputError(files.front(), "lines of text", "none");
  }
  const BpeTokenizer tokenizer(learn_merges(parts, flags.vocab_size - kMinBpeVocabulary));
  check_vocabulary_name(tokenizer, flags.output);
  write_tokenizer(tokenizer, flags.output);
  log_line(fmt::format("wrote {}: {} entries", flags.output, tokenizer.vocab_size()));
  return summary_of(tokenizer);
}

Json convert(const TokenizerFlags& flags, const std::vector<std::string>& files) {
  require_output(flags);
  if (files.size() != 1) {
    throw UsageError("tokenizer convert", "one file of a vocabulary", std::to_string(files.size()));
  }
  std::error_code none;
  const auto folder = std::filesystem::path(files.front()).parent_path();
  if (std::filesystem::equivalent(folder.empty() ? "." : folder, flags.output, none)) {
    throw UsageError("--output " + printable_text(flags.output),
                     "another folder than that of the file that is read", "the same");
  }
  const auto tokenizer = read_tokenizer(files.front());
  write_tokenizer(*tokenizer, flags.output);
  log_line(fmt::format("wrote {}: {} entries", flags.output, tokenizer->vocab_size()));
  return summary_of(*tokenizer);
}

Json encode(const TokenizerFlags& flags, const std::vector<std::string>& names) {
  if (!flags.output.empty()) {
    throw UsageError("--output: tokenizer encode writes nothing");
  }
  const auto tokenizer = read_tokenizer(names.front());
  auto json = summary_of(*tokenizer);
  json["texts"] = Json::array();
  for (size_t place = 1; place < names.size(); ++place) {
    const auto ids = tokenizer->encode(names[place], flags.max_tokens);
    std::vector<std::string> pieces;
    for (const auto id : ids) {
      pieces.push_back(tokenizer->decode(std::vector{id}));
    }
    print_line("{}  {}", fmt::join(ids, " "), fmt::join(pieces, "|"));
    json["texts"].push_back({{"text", names[place]}, {"ids", ids}});
  }
  return json;
}

}  // namespace

void run_tokenizer(const std::vector<std::string>& arguments) {
  TokenizerFlags flags;
  std::vector<std::string> names;
  CommandLine line("tokenizer",
                   "Learn vocabularies for texts, and read and write those of CLIP and SigLIP. "
                   "softmoe train --tokenizer takes their files.");
  line.add("Vocabulary", flags);
  line.add_operand("action");
  line.add_names({.name = "FILE",
                  .meaning = "text files (train), a vocabulary (convert), or a "
                             "vocabulary and texts (encode)"},
                 names);
  if (!line.parse(arguments)) {
    return;
  }
  if (names.empty()) {
    throw UsageError("FILE is missing: what tokenizer " + flags.action + " reads");
  }
  line.write_json(flags.action == "train"     ? train(flags, names)
                  : flags.action == "convert" ? convert(flags, names)
                                              : encode(flags, names));
}

}  // namespace softmoe::cli
