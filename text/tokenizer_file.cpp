#include "text/tokenizer_file.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/registry.h"
#include "io/atomic_file.h"
#include "io/bounded_json.h"
#include "text/clip_files.h"
#include "text/siglip_tokenizer.h"
#include "text/tokenizers.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOurKey = "softmoe_tokenizer";

constexpr std::array kFormats{
    VocabularyFormat{".json", "", "a file of this program"},
    VocabularyFormat{".txt.gz", "clip", "CLIP's merges"},
    VocabularyFormat{".model", "siglip", "a model of SentencePiece"},
    VocabularyFormat{"", "clip", "a folder with vocab.json and merges.txt"},
};

bool is_regular(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none);
}

/// The file with the vocabulary in a folder of Hugging Face.
fs::path file_in(const fs::path& folder) {
  for (const char* const name : {"vocab.json", "tokenizer.json", "spiece.model"}) {
    if (is_regular(folder / name)) {
      return folder / name;
    }
  }
  throw InputError(folder.string(), "vocab.json, tokenizer.json or spiece.model", "none of them");
}

std::unique_ptr<Tokenizer> read_ours(const nlohmann::json& json, const std::string& where) {
  const auto text = [&](const char* key) {
    const auto at = json.find(key);
    if (at == json.end() || !at->is_string()) {
      throw InputError(where, fmt::format("a text '{}'", key), "none");
    }
    return at->get<std::string>();
  };
  return make_tokenizer(text(kOurKey), text("data"), where);
}

std::unique_ptr<Tokenizer> read_json_file(const fs::path& path) {
  if (path.filename() == "vocab.json") {
    return read_clip_pair(path, path.parent_path() / "merges.txt");
  }
  const nlohmann::json json = parse_sorted_json(read_text_file(path), path.string());
  if (json.is_object() && json.contains(kOurKey)) {
    return read_ours(json, path.string());
  }
  return read_clip_json(json, path.string());
}

const VocabularyFormat& format_of(const fs::path& path) {
  const auto name = path.filename().string();
  for (const auto& format : kFormats) {
    if (!format.ending.empty() && name.ends_with(format.ending)) {
      return format;
    }
  }
  return kFormats.back();
}

}  // namespace

std::span<const VocabularyFormat> vocabulary_formats() { return kFormats; }

std::unique_ptr<Tokenizer> read_tokenizer(const fs::path& path) {
  if (fs::is_directory(path)) {
    return read_tokenizer(file_in(path));
  }
  const auto name = path.filename().string();
  if (name.ends_with(".json")) {
    return read_json_file(path);
  }
  if (name.ends_with(".model")) {
    return std::make_unique<SiglipTokenizer>(read_text_file(path), path.string());
  }
  if (name == "merges.txt" && is_regular(path.parent_path() / "vocab.json")) {
    return read_clip_pair(path.parent_path() / "vocab.json", path);
  }
  if (name.ends_with(".txt") || name.ends_with(".txt.gz")) {
    return read_clip_merges(path);
  }
  throw InputError(printable_text(path.string()),
                   "a vocabulary: .json, .txt, .txt.gz, .model, or a folder with vocab.json",
                   "another name");
}

void check_vocabulary_name(const Tokenizer& tokenizer, const fs::path& path) {
  const auto& format = format_of(path);
  if (!format.kind.empty() && format.kind != tokenizer.kind()) {
    throw UsageError(
        path.string(),
        fmt::format("a name that ends with .json for the tokenizer '{}'", tokenizer.kind()),
        fmt::format("the name of {} ({})", format.meaning, format.kind));
  }
}

void write_tokenizer(const Tokenizer& tokenizer, const fs::path& path) {
  check_vocabulary_name(tokenizer, path);
  const auto& format = format_of(path);
  if (format.kind.empty()) {
    write_text_file(
        path,
        json_text({{kOurKey, std::string(tokenizer.kind())}, {"data", tokenizer.data()}}) + "\n");
  } else if (format.kind == "siglip") {
    write_text_file(path, dynamic_cast<const SiglipTokenizer&>(tokenizer).model());
  } else {
    const auto& clip = dynamic_cast<const ClipTokenizer&>(tokenizer);
    if (format.ending.empty()) {
      write_clip_pair(clip, path);
    } else {
      write_clip_merges(clip, path);
    }
  }
}

}  // namespace softmoe
