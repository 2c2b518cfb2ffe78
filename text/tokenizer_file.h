#pragma once
/// Vocabularies as files, ours and those of other projects.

#include <filesystem>
#include <memory>
#include <span>
#include <string_view>

#include "text/tokenizer.h"

namespace softmoe {

/// A format of vocabularies, by the name of its file.
struct VocabularyFormat {
  std::string_view ending;  ///< of the file's name; "": a folder
  std::string_view kind;    ///< of the tokenizers that can be written; "": all
  std::string_view meaning;
};

/// .json: ours; .txt.gz: CLIP's; .model: SigLIP's; a folder: vocab.json and merges.txt.
std::span<const VocabularyFormat> vocabulary_formats();

/// Reads a vocabulary: a file that write_tokenizer() wrote, CLIP's bpe_simple_vocab_16e6.txt.gz
/// (or unpacked), a folder with Hugging Face's vocab.json and merges.txt, its tokenizer.json, or
/// its spiece.model (or the path of one of these files), a spiece.model. Throws InputError that
/// names the file.
std::unique_ptr<Tokenizer> read_tokenizer(const std::filesystem::path& path);

/// Throws UsageError unless write_tokenizer() can write `tokenizer` to a file of the name of
/// `path`.
void check_vocabulary_name(const Tokenizer& tokenizer, const std::filesystem::path& path);

/// Writes `tokenizer` in the format that the name of `path` asks for.
void write_tokenizer(const Tokenizer& tokenizer, const std::filesystem::path& path);

}  // namespace softmoe
