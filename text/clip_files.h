#pragma once
/// CLIP's vocabulary in the files of OpenAI and of Hugging Face.

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "text/clip_tokenizer.h"

namespace softmoe {

/// Reads merges, one per line behind a first line with the version, gzipped or not; of more than
/// OpenAI uses (48,894), the first. Throws InputError that names the file and line.
std::unique_ptr<ClipTokenizer> read_clip_merges(const std::filesystem::path& path);

/// Reads Hugging Face's vocab.json and merges.txt. Throws InputError that names the file.
std::unique_ptr<ClipTokenizer> read_clip_pair(const std::filesystem::path& vocab,
                                              const std::filesystem::path& merges);

/// Reads the content of Hugging Face's tokenizer.json. Throws InputError that names `where` if its
/// model is not CLIP's.
std::unique_ptr<ClipTokenizer> read_clip_json(const nlohmann::json& json, const std::string& where);

/// Writes the gzipped merges. Throws InputError if the vocabulary does not follow from them.
void write_clip_merges(const ClipTokenizer& tokenizer, const std::filesystem::path& path);

/// Writes vocab.json and merges.txt to `folder`, which it makes.
void write_clip_pair(const ClipTokenizer& tokenizer, const std::filesystem::path& folder);

}  // namespace softmoe
