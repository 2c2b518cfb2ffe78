#include "text/clip_files.h"

#include <fmt/format.h>
#include <zlib.h>

#include <array>

#include "core/error.h"
#include "core/split_text.h"
#include "io/atomic_file.h"
#include "io/bounded_json.h"
#include "io/gzip_file.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;
using MergeList = std::vector<std::pair<std::string, std::string>>;

/// The merges of OpenAI's file that are used: 49,152 tokens without bytes, ends of words and marks.
constexpr size_t kClipMerges = 49152 - 256 - 2;
/// Far more than vocabularies have.
constexpr size_t kMaxFileBytes = size_t{1} << 28;
constexpr const char* kVersionLine = "#version: 0.2";

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

/// The whole of a file, unpacked if it is gzipped.
std::string read_maybe_gzipped(const fs::path& path) {
  GzipFile file(path);
  std::string text;
  std::array<char, 1 << 16> block{};
  size_t count = 0;
  do {
    count = file.read(block.data(), block.size());
    text.append(block.data(), count);
    if (text.size() > kMaxFileBytes) {
      throw InputError(path.string(), "merges, one per line", "more than 256 MiB");
    }
  } while (count == block.size());
  return text;
}

void write_gzipped(const fs::path& path, const std::string& text) {
  write_atomically(path, [&](const fs::path& temporary) {
    std::unique_ptr<gzFile_s, CloseGzip> file(gzopen(temporary.c_str(), "wb9"));
    if (!file || gzwrite(file.get(), text.data(), static_cast<unsigned>(text.size())) !=
                     static_cast<int>(text.size())) {
      throw InputError(path.string() + ": cannot be written");
    }
    if (gzclose(file.release()) != Z_OK) {
      throw InputError(path.string() + ": cannot be written");
    }
  });
}

/// The merges in `text`, whose first line may be a version.
MergeList parse_merges(const std::string& text, const std::string& where) {
  MergeList merges;
  int64_t number = 0;
  for (const auto& full_line : split_text(text, '\n')) {
    ++number;
    const auto line = trimmed(full_line, "\r");
    // OpenAI's first line is a comment in quotes.
    if (line.empty() || (number == 1 && line.find("#version") != line.npos)) {
      continue;
    }
    const auto parts = split_text(line, ' ');
    if (parts.size() != 2 || parts[0].empty() || parts[1].empty()) {
      throw InputError(fmt::format("{} line {}", where, number), "two parts of a merge",
                       "'" + printable_text(line, 60) + "'");
    }
    merges.emplace_back(parts[0], parts[1]);
  }
  if (merges.empty()) {
    throw InputError(where, "merges, one per line", "none");
  }
  return merges;
}

/// The tokens of an object with their ids, which must be all from 0 on.
std::vector<std::string> tokens_by_id(const nlohmann::json& vocab, const std::string& where) {
  if (!vocab.is_object()) {
    throw InputError(where, "an object of tokens and their ids", vocab.type_name());
  }
  std::vector<std::string> tokens(vocab.size());
  for (const auto& [token, id] : vocab.items()) {
    const bool is_id =
        id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(tokens.size());
    if (!is_id || !tokens[id.get<size_t>()].empty()) {
      throw InputError(fmt::format("{}: '{}'", where, printable_text(token, 40)),
                       fmt::format("an id below {} of its own", tokens.size()),
                       printable_text(id.dump(), 40));
    }
    tokens[id.get<size_t>()] = token;
  }
  return tokens;
}

std::string merges_text(const ClipTokenizer& tokenizer, const char* version) {
  std::string text = std::string(version) + "\n";
  for (const auto& [left, right] : tokenizer.vocabulary().merges) {
    text += left + " " + right + "\n";
  }
  return text;
}

}  // namespace

std::unique_ptr<ClipTokenizer> read_clip_merges(const fs::path& path) {
  auto merges = parse_merges(read_maybe_gzipped(path), path.string());
  if (merges.size() > kClipMerges) {
    merges.resize(kClipMerges);
  }
  return std::make_unique<ClipTokenizer>(clip_vocabulary(std::move(merges)), path.string());
}

std::unique_ptr<ClipTokenizer> read_clip_pair(const fs::path& vocab, const fs::path& merges) {
  ClipVocabulary vocabulary;
  vocabulary.tokens =
      tokens_by_id(parse_sorted_json(read_text_file(vocab), vocab.string()), vocab.string());
  vocabulary.merges = parse_merges(read_text_file(merges), merges.string());
  return std::make_unique<ClipTokenizer>(std::move(vocabulary), vocab.string());
}

std::unique_ptr<ClipTokenizer> read_clip_json(const nlohmann::json& json,
                                              const std::string& where) {
  const auto model = json.is_object() ? json.value("model", nlohmann::json()) : nlohmann::json();
  if (!model.is_object() || !model.contains("vocab") || !model.contains("merges") ||
      model.value("end_of_word_suffix", nlohmann::json()) != "</w>") {
    throw InputError(where, "a tokenizer of this program, or a tokenizer.json of CLIP",
                     "another JSON file");
  }
  ClipVocabulary vocabulary;
  vocabulary.tokens = tokens_by_id(model["vocab"], where);
  std::string lines;
  for (const auto& merge : model["merges"]) {  // "a b", or ["a", "b"] in newer files
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      lines += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
    } else {
      lines += (merge.is_string() ? merge.get<std::string>() : merge.dump()) + "\n";
    }
  }
  vocabulary.merges = parse_merges(lines, where);
  return std::make_unique<ClipTokenizer>(std::move(vocabulary), where);
}

void write_clip_merges(const ClipTokenizer& tokenizer, const fs::path& path) {
  if (clip_vocabulary(tokenizer.vocabulary().merges) != tokenizer.vocabulary()) {
    throw InputError(path.string(),
                     "a vocabulary that follows from its merges (a folder takes any)",
                     "other tokens or another order");
  }
  write_gzipped(path, merges_text(tokenizer, kVersionLine));
}

void write_clip_pair(const ClipTokenizer& tokenizer, const fs::path& folder) {
  int64_t id = 0;
  std::string text = "{";
  for (const auto& token : tokenizer.vocabulary().tokens) {
    text += (id == 0 ? "" : ", ") + json_text(token) + ": " + std::to_string(id);
    ++id;
  }
  write_text_file(folder / "vocab.json", text + "}\n");
  write_text_file(folder / "merges.txt", merges_text(tokenizer, kVersionLine));
}

}  // namespace softmoe
