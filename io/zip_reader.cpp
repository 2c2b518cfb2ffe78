#include "io/zip_reader.h"

#include <fmt/format.h>

#include <utility>

#include "core/error.h"
#include "io/file_error.h"
#include "io/zip_handle.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// The largest growth of a deflate stream: a run of 258 bytes in two bits.
constexpr int64_t kMaxDeflateRatio = 1032;

}  // namespace

struct ZipStream::State {
  ZipFileHandle file;
  std::string where;
};

struct ZipReader::State {
  fs::path path;
  ZipWords words;
  ZipHandle archive;
  std::map<std::string, ZipMember> members;

  std::string place(const std::string& name) const {
    return fmt::format("{}: {} '{}'", path.string(), words.member, printable_text(name));
  }
  void list_members();
};

ZipStream::ZipStream(std::unique_ptr<State> state) : state_(std::move(state)) {}
ZipStream::ZipStream(ZipStream&& other) noexcept = default;
ZipStream::~ZipStream() = default;

void ZipStream::read(void* data, int64_t bytes) {
  zip_file_t* file = state_->file.get();
  auto* out = static_cast<char*>(data);
  while (bytes > 0) {
    const zip_int64_t got = zip_fread(file, out, static_cast<zip_uint64_t>(bytes));
    if (got <= 0) {
      throw InputError(state_->where, fmt::format("{} more bytes", bytes),
                       got == 0 ? "the end of the data" : zip_error_text(zip_file_get_error(file)));
    }
    out += got;
    bytes -= got;
  }
}

void ZipStream::expect_end() {
  zip_file_t* file = state_->file.get();
  char byte = 0;
  const zip_int64_t got = zip_fread(file, &byte, 1);  // libzip compares the checksum at the end
  if (got != 0) {
    throw InputError(state_->where, "the end of the data",
                     got > 0 ? "more data" : zip_error_text(zip_file_get_error(file)));
  }
}

void ZipReader::State::list_members() {
  const int64_t file_bytes = file_length(path);
  int64_t packed_total = 0;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_uint64_t index = 0; std::cmp_less(index, count); ++index) {
    zip_stat_t stat;
    constexpr zip_uint64_t kNeeded =
        ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(archive.get(), index, 0, &stat) != 0 || (stat.valid & kNeeded) != kNeeded) {
      throw InputError(path.string(), words.archive, "a damaged directory");
    }
    std::string name = stat.name;
    if (!name.ends_with(words.suffix)) {
      continue;
    }
    name.resize(name.size() - words.suffix.size());
    const auto bytes = static_cast<int64_t>(stat.size);
    const auto packed = static_cast<int64_t>(stat.comp_size);
    // Members that share packed bytes are the trick of the densest bombs.
    if (packed < 0 || packed > file_bytes - packed_total || bytes < 0 ||
        bytes / kMaxDeflateRatio > packed) {
      throw InputError(place(name), "a length that fits the file",
                       fmt::format("{} bytes packed in {}", stat.size, stat.comp_size));
    }
    packed_total += packed;
    const bool is_stored = stat.comp_method == ZIP_CM_STORE;
    if (!members.emplace(name, ZipMember{index, bytes, packed, is_stored}).second) {
      throw InputError(place(name), "one " + words.member + " of a name", "two");
    }
  }
}

ZipReader::ZipReader(const fs::path& path, ZipWords words) : state_(std::make_unique<State>()) {
  state_->path = path;
  state_->words = std::move(words);
  state_->archive = open_zip(path, ZIP_RDONLY, state_->words.archive);
  state_->list_members();
}

ZipReader::~ZipReader() = default;

const fs::path& ZipReader::path() const { return state_->path; }
const std::map<std::string, ZipMember>& ZipReader::members() const { return state_->members; }
std::string ZipReader::comment() const {
  int bytes = 0;
  const char* text = zip_get_archive_comment(state_->archive.get(), &bytes, ZIP_FL_ENC_RAW);
  return text == nullptr || bytes <= 0 ? "" : std::string(text, static_cast<size_t>(bytes));
}

std::string ZipReader::place(const std::string& name) const { return state_->place(name); }

ZipStream ZipReader::open(const std::string& name) const {
  zip_t* archive = state_->archive.get();
  auto stream = std::make_unique<ZipStream::State>();
  stream->where = place(name);
  stream->file.reset(zip_fopen_index(archive, state_->members.at(name).index, 0));
  if (stream->file == nullptr) {
    throw InputError(stream->where, "a readable " + state_->words.member,
                     zip_error_text(zip_get_error(archive)));
  }
  return ZipStream(std::move(stream));
}

}  // namespace softmoe
