#include "io/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "support/error_text.h"
#include "support/file_size_limit.h"
#include "support/temporary_folder.h"

namespace softmoe {
namespace {

using test::input_error;
using testing::HasSubstr;

size_t file_count(const std::filesystem::path& folder) {
  const auto files = std::filesystem::directory_iterator(folder);
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST(TextFile, RoundTripsAnyBytesAndMakesItsFolder) {
  const test::TemporaryFolder folder;
  const std::string text("a\0b\r\n\xff", 6);
  write_text_file(folder / "new/deep/a.txt", text);
  EXPECT_EQ(read_text_file(folder / "new/deep/a.txt"), text);
  write_text_file(folder / "new/deep/a.txt", "");
  EXPECT_EQ(read_text_file(folder / "new/deep/a.txt"), "");
  EXPECT_EQ(file_count(folder / "new/deep"), 1U);
}

TEST(TextFile, NamesWhatCannotBeRead) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(input_error([&] { read_text_file(folder / "none"); }),
            "cannot read " + (folder / "none").string() + ": No such file or directory");
  EXPECT_THAT(input_error([&] { read_text_file(folder.path()); }), HasSubstr("it is a folder"));
}

TEST(TextFile, NamesWhatCannotBeWritten) {
  const test::TemporaryFolder folder;
  write_text_file(folder / "file", "x");
  EXPECT_THAT(input_error([&] { write_text_file(folder / "file/a", "y"); }),
              HasSubstr("cannot write " + (folder / "file/a").string()));
  std::filesystem::create_directory(folder / "folder");
  write_text_file(folder / "folder/inside", "x");
  EXPECT_THAT(input_error([&] { write_text_file(folder / "folder", "y"); }),
              HasSubstr("cannot write " + (folder / "folder").string()));
  EXPECT_EQ(file_count(folder.path()), 2U);
}

TEST(AtomicFile, KeepsTheOldFileWhenWritingFails) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a";
  write_text_file(path, "old");
  EXPECT_THROW(write_atomically(path,
                                [](const std::filesystem::path& temporary) {
                                  std::ofstream(temporary) << "half";
                                  throw std::runtime_error("stop");
                                }),
               std::runtime_error);
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(file_count(folder.path()), 1U);
}

TEST(AtomicFile, KeepsTheOldFileWhenTheDiskIsFull) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a";
  write_text_file(path, "old");
  const auto message = input_error([&] {
    const test::FileSizeLimit limit(1000);
    write_text_file(path, std::string(100'000, 'x'));
  });
  EXPECT_EQ(message, "cannot write " + path.string() + ": File too large");
  EXPECT_EQ(read_text_file(path), "old");
  EXPECT_EQ(file_count(folder.path()), 1U);
}

TEST(AtomicFile, NeverShowsAHalfWrittenFile) {
  const test::TemporaryFolder folder;
  const auto path = folder / "a";
  write_atomically(path, [&](const std::filesystem::path& temporary) {
    EXPECT_EQ(temporary.parent_path(), path.parent_path());
    std::ofstream(temporary) << "whole";
    EXPECT_FALSE(std::filesystem::exists(path));
  });
  EXPECT_EQ(read_text_file(path), "whole");
}

TEST(AtomicFile, FollowsSymbolicLinks) {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "far");
  std::filesystem::create_symlink("far/b", folder / "a");  // from the folder of the link
  std::filesystem::create_symlink(folder / "a", folder / "again");
  write_text_file(folder / "again", "new");  // the target is not there yet
  EXPECT_EQ(read_text_file(folder / "far/b"), "new");
  write_text_file(folder / "a", "newer");
  EXPECT_EQ(read_text_file(folder / "far/b"), "newer");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "a"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "again"));
  EXPECT_EQ(file_count(folder / "far"), 1U);
  EXPECT_EQ(file_count(folder.path()), 3U);

  std::filesystem::create_symlink("loop", folder / "loop");
  EXPECT_THAT(input_error([&] { write_text_file(folder / "loop", "x"); }),
              HasSubstr("cannot write " + (folder / "loop").string() + ": Too many levels"));
}

/// A named pipe from which a thread reads at most `limit` bytes.
class PipeReader {
 public:
  PipeReader(const std::filesystem::path& path, size_t limit)
      : made_(::mkfifo(path.c_str(), 0600) == 0), thread_([this, path, limit] {
          const int pipe = ::open(path.c_str(), O_RDONLY);
          char byte = 0;
          while (text_.size() < limit && ::read(pipe, &byte, 1) == 1) {
            text_ += byte;
          }
          ::close(pipe);
        }) {
    EXPECT_TRUE(made_);
  }
  ~PipeReader() {
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  PipeReader(const PipeReader&) = delete;
  PipeReader& operator=(const PipeReader&) = delete;

  const std::string& text() {
    thread_.join();
    return text_;
  }

 private:
  bool made_;
  std::string text_;
  std::thread thread_;
};

TEST(AtomicFile, WritesIntoWhatIsNoRegularFile) {
  const test::TemporaryFolder folder;
  const auto path = folder / "pipe";
  std::filesystem::create_symlink("pipe", folder / "link");
  const std::string text(200'000, 'x');
  PipeReader reader(path, SIZE_MAX);
  write_atomically(folder / "link", [&](const std::filesystem::path& file) {
    std::fstream stream(file, std::ios::out | std::ios::binary);
    stream << 'y' << text;
    stream.seekp(0);  // as formats do that complete their beginning at the end
    stream << 'z';
  });
  EXPECT_EQ(reader.text(), 'z' + text);
  EXPECT_TRUE(std::filesystem::is_fifo(path));
  EXPECT_EQ(file_count(folder.path()), 2U);
}

TEST(AtomicFile, SaysBeforehandWhereNothingCanBeWritten) {
  const test::TemporaryFolder folder;
  EXPECT_NO_THROW(check_can_write(folder / "new/deeper/file"));
  EXPECT_EQ(file_count(folder.path()), 0U);
  for (const std::string path : {"/proc/file", "/proc/folder/file", "/dev/null/file"}) {
    EXPECT_THAT(input_error([&] { check_can_write(path); }),
                testing::StartsWith("cannot write " + path + ": "));
  }
}

TEST(AtomicFile, NamesWhatTakesNoMoreBytes) {
  const test::TemporaryFolder folder;
  auto* const previous = std::signal(SIGPIPE, SIG_IGN);
  {
    const PipeReader reader(folder / "pipe", 1);
    EXPECT_EQ(input_error([&] { write_text_file(folder / "pipe", std::string(200'000, 'x')); }),
              "cannot write " + (folder / "pipe").string() + ": Broken pipe");
  }
  std::signal(SIGPIPE, previous);
  EXPECT_TRUE(std::filesystem::is_fifo(folder / "pipe"));
}

}  // namespace
}  // namespace softmoe
