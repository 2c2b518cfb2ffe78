#include "datasets/sources/shard_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <xxhash.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "core/error.h"
#include "datasets/sources/shard_names.h"
#include "datasets/sources/tar_scan.h"
#include "io/append_file.h"
#include "io/atomic_file.h"

namespace softmoe {
namespace {

constexpr size_t kStreamBlock = size_t{1} << 20;

struct FreeArchive {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

/// A shell command whose output is read.
class Command {
 public:
  explicit Command(const std::string& text) : text_(text), output_(popen(text.c_str(), "re")) {
    if (output_ == nullptr) {
      throw InputError("pipe:" + text_ + ": " + system_error_text(errno));
    }
  }
  ~Command() {
    if (output_ != nullptr) {
      pclose(output_);
    }
  }
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

  FILE* output() const { return output_; }

  /// Waits for the end; throws InputError if the command failed.
  void finish() {
    const int status = pclose(std::exchange(output_, nullptr));
    if (status != 0) {
      throw InputError(fmt::format("pipe:{}: the command ended with status {}", text_,
                                   WIFEXITED(status) ? WEXITSTATUS(status) : status));
    }
  }

 private:
  std::string text_;
  FILE* output_;
};

/// Writes what `reader` decompresses to `path`.
void write_content(archive* reader, const std::string& shard, const std::filesystem::path& path) {
  const auto check = [&](bool good) {
    if (!good) {
      const char* text = archive_error_string(reader);
      throw InputError(printable_text(shard) +
                       ": damaged: " + (text == nullptr ? "unknown reason" : single_line(text)));
    }
  };
  AppendFile file(path, 0);
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(reader, &entry);
  if (result == ARCHIVE_EOF) {  // nothing came
    return;
  }
  check(result == ARCHIVE_OK);
  std::vector<char> block(kStreamBlock);
  for (;;) {
    const auto count = archive_read_data(reader, block.data(), block.size());
    check(count >= 0);
    if (count == 0) {
      return;
    }
    file.append({block.data(), static_cast<size_t>(count)});
  }
}

}  // namespace

bool is_stream(const std::string& shard) {
  return is_pipe(shard) || !compression_of(shard).empty();
}

std::filesystem::path stream_copy(const std::string& shard, const std::filesystem::path& folder) {
  return folder / fmt::format("{:016x}.tar", XXH3_64bits(shard.data(), shard.size()));
}

void copy_stream(const std::string& shard, const std::filesystem::path& folder) {
  const auto target = stream_copy(shard, folder);
  if (std::filesystem::exists(target)) {
    return;
  }
  std::filesystem::create_directories(folder);
  write_atomically(target, [&](const std::filesystem::path& temporary) {
    const std::unique_ptr<archive, FreeArchive> reader(archive_read_new());
    archive_read_support_filter_gzip(reader.get());
    archive_read_support_filter_bzip2(reader.get());
    archive_read_support_filter_xz(reader.get());
    archive_read_support_filter_zstd(reader.get());
    archive_read_support_filter_compress(reader.get());
    archive_read_support_format_raw(reader.get());
    archive_read_support_format_empty(reader.get());
    if (!is_pipe(shard)) {
      archive_read_open_filename(reader.get(), shard.c_str(), kStreamBlock);
      write_content(reader.get(), shard, temporary);
      return;
    }
    Command command(shard.substr(std::string("pipe:").size()));
    archive_read_open_FILE(reader.get(), command.output());
    write_content(reader.get(), shard, temporary);
    command.finish();
  });
}

}  // namespace softmoe
