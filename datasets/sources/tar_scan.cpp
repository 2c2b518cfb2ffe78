#include "datasets/sources/tar_scan.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/error.h"
#include "datasets/formats/byte_view.h"
#include "io/file_error.h"

namespace softmoe {
namespace {

using namespace std::string_view_literals;

// libarchive gets one block at a time. It takes no more than it needs, so that after a header the
// file is at the first byte of the member, whose place libarchive does not tell.
constexpr int64_t kTarBlock = 512;

struct CompressionMark {
  std::string_view bytes;
  const char* name;
};
constexpr std::array kCompressions{
    CompressionMark{"\x1f\x8b"sv, "gzip"}, CompressionMark{"BZh"sv, "bzip2"},
    CompressionMark{"\xfd"
                    "7zXZ\0"sv,
                    "xz"},
    CompressionMark{"\x28\xb5\x2f\xfd"sv, "Zstandard"}, CompressionMark{"\x1f\x9d"sv, "compress"}};

int64_t whole_blocks(int64_t bytes) { return (bytes + kTarBlock - 1) / kTarBlock * kTarBlock; }

}  // namespace

struct TarScan::State {
  std::filesystem::path path;
  int file = -1;
  int64_t position = 0;  // of the next byte that libarchive gets
  int64_t size = 0;
  int64_t end = 0;  // of the last member, in whole blocks
  std::array<char, kTarBlock> block{};
  archive* reader = nullptr;
  archive_entry* entry = nullptr;

  ~State() {
    archive_read_free(reader);
    if (file >= 0) {
      ::close(file);
    }
  }

  [[noreturn]] void fail(const std::string& reason) const {
    throw InputError(fmt::format("{}: damaged tar file: {}", path.string(), reason));
  }
  /// The member's name, or nullptr. In a locale without UTF-8, libarchive has some in UTF-8 alone.
  const char* name() const {
    const char* name = archive_entry_pathname(entry);
    return name == nullptr ? archive_entry_pathname_utf8(entry) : name;
  }
  [[noreturn]] void fail_by_archive() const {
    const char* text = archive_error_string(reader);
    fail(text == nullptr ? "unknown reason" : single_line(text));
  }

  static la_ssize_t read_block(archive* reader, void* data, const void** buffer) {
    auto& state = *static_cast<State*>(data);
    ssize_t count = 0;
    do {
      count = ::pread(state.file, state.block.data(), state.block.size(), state.position);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
      archive_set_error(reader, errno, "%s", system_error_text(errno).c_str());
      return -1;
    }
    state.position += count;
    *buffer = state.block.data();
    return count;
  }

  static la_int64_t skip(archive*, void* data, la_int64_t request) {
    auto& state = *static_cast<State*>(data);
    const auto count = std::min<int64_t>(request, state.size - state.position);
    state.position += count;
    return count;
  }
};

TarScan::TarScan(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  auto& state = *state_;
  state.path = path;
  if (const auto name = compression_of(path); !name.empty()) {
    throw InputError(path.string(), "an uncompressed tar file", name + " data");
  }
  state.file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state.file < 0) {
    throw_read_error(path, errno);
  }
  state.size = file_length(path);
  state.reader = archive_read_new();
  if (state.reader == nullptr) {
    throw std::bad_alloc();
  }
  archive_read_support_format_tar(state.reader);
  archive_read_set_read_callback(state.reader, State::read_block);
  archive_read_set_skip_callback(state.reader, State::skip);
  archive_read_set_callback_data(state.reader, &state);
  if (archive_read_open1(state.reader) != ARCHIVE_OK) {
    state.fail_by_archive();
  }
}

TarScan::~TarScan() = default;

std::optional<TarMember> TarScan::next() {
  auto& state = *state_;
  for (;;) {
    const int result = archive_read_next_header(state.reader, &state.entry);
    if (result == ARCHIVE_EOF) {
      if (state.end > state.size) {
        state.fail("it ends within a member");
      }
      return std::nullopt;
    }
    if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
      state.fail_by_archive();
    }
    const auto header = archive_read_header_position(state.reader);
    if (header < state.end) {
      state.fail("headers overlap");
    }
    const int64_t offset = state.position;
    const int64_t size = archive_entry_size(state.entry);
    if (size < 0 || size > state.size - offset || offset % kTarBlock != 0) {
      state.fail("it ends within a member");
    }
    state.end = offset + whole_blocks(size);
    const bool is_file = archive_entry_filetype(state.entry) == AE_IFREG &&
                         archive_entry_hardlink(state.entry) == nullptr;
    const char* name = state.name();
    if (!is_file || name == nullptr) {
      continue;
    }
    if (archive_entry_sparse_count(state.entry) > 0) {
      state.fail("a sparse file, which shards do not hold");
    }
    return TarMember{name, offset, size};
  }
}

std::string TarScan::read(int64_t max_bytes) {
  auto& state = *state_;
  const int64_t size = archive_entry_size(state.entry);
  if (size > max_bytes) {
    throw InputError(fmt::format("{}[{}]", state.path.string(), printable_text(state.name())),
                     fmt::format("at most {} bytes", max_bytes), std::to_string(size));
  }
  std::string bytes(static_cast<size_t>(size), '\0');
  if (archive_read_data(state.reader, bytes.data(), bytes.size()) != size) {
    state.fail_by_archive();
  }
  return bytes;
}

std::string compression_of(const std::filesystem::path& path) {
  std::array<uint8_t, 8> start{};
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) {
    throw_read_error(path, errno);
  }
  const auto count = ::pread(file, start.data(), start.size(), 0);
  ::close(file);
  const Bytes bytes(start.data(), static_cast<size_t>(std::max<ssize_t>(count, 0)));
  for (const auto& mark : kCompressions) {
    if (has_text(bytes, 0, mark.bytes)) {
      return mark.name;
    }
  }
  return "";
}

}  // namespace softmoe
