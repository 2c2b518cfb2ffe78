#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "io/file_error.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

void flush_to_disk(const fs::path& path, const fs::path& named) {
  const int file = ::open(path.c_str(), O_RDONLY);
  if (file < 0 || ::fsync(file) != 0) {
    const int error_number = errno;
    if (file >= 0) {
      ::close(file);
    }
    throw_write_error(named, error_number);
  }
  ::close(file);
}

/// The descriptor of this process's standard output or standard error that is `file`, or -1.
int own_output(const struct stat& file) {
  for (const int descriptor : {STDOUT_FILENO, STDERR_FILENO}) {
    struct stat output {};
    if (::fstat(descriptor, &output) == 0 && output.st_dev == file.st_dev &&
        output.st_ino == file.st_ino) {
      return descriptor;
    }
  }
  return -1;
}

/// Returns true if `path` takes bytes in their order and must not be replaced by another file: a
/// device, a pipe, or the file that this process's own output goes to.
bool is_stream(const fs::path& path) {
  struct stat file {};
  return ::stat(path.c_str(), &file) == 0 && !S_ISDIR(file.st_mode) &&
         (!S_ISREG(file.st_mode) || own_output(file) >= 0);
}

int open_stream(const fs::path& path) {
  struct stat file {};
  const int own = ::stat(path.c_str(), &file) == 0 ? own_output(file) : -1;
  if (own < 0) {
    return ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  }
  std::fflush(stdout);
  return ::dup(own);  // continues at the end of the output, where open() begins at its start
}

void send_file(const fs::path& from, const fs::path& path) {
  std::ifstream file(from, std::ios::binary);
  const int stream = open_stream(path);
  int error_number = stream < 0 ? errno : 0;
  std::array<char, 1 << 16> buffer;
  while (error_number == 0 && (file.read(buffer.data(), buffer.size()), file.gcount() > 0)) {
    const auto bytes = static_cast<size_t>(file.gcount());
    for (size_t done = 0; done < bytes && error_number == 0;) {
      const ssize_t put = ::write(stream, buffer.data() + done, bytes - done);
      error_number = put < 0 && errno != EINTR ? errno : 0;
      done += put > 0 ? static_cast<size_t>(put) : 0;
    }
  }
  if (stream >= 0 && ::close(stream) != 0 && error_number == 0) {
    error_number = errno;
  }
  if (error_number != 0) {
    throw_write_error(path, error_number);
  }
}

/// Writes a whole file elsewhere first: some formats go back and forth in their file.
void write_to_stream(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  std::error_code error;
  std::string folder = fs::temp_directory_path(error) / "softmoe-XXXXXX";
  if (error || ::mkdtemp(folder.data()) == nullptr) {
    throw_write_error(folder, error ? error.value() : errno);
  }
  try {
    const auto whole = fs::path(folder) / "whole";
    write(whole);
    send_file(whole, path);
  } catch (...) {
    fs::remove_all(folder, error);
    throw;
  }
  fs::remove_all(folder, error);
}

/// Throws for `named` if no file can be made in `folder`. Permissions alone do not tell: /proc has
/// them, and makes no file.
void try_new_file(const fs::path& folder, const fs::path& named) {
  std::string file = folder / ".softmoe-XXXXXX";
  const int descriptor = ::mkostemp(file.data(), O_CLOEXEC);
  if (descriptor < 0) {
    throw_write_error(named, errno);
  }
  ::close(descriptor);
  ::unlink(file.c_str());
}

}  // namespace

fs::path link_target(const fs::path& path) {
  constexpr int kMaxLinks = 40;  // as Linux
  fs::path target = path;
  std::error_code error;
  for (int links = 0; fs::is_symlink(target, error); ++links) {
    const auto next = fs::read_symlink(target, error);
    if (error || links == kMaxLinks) {
      throw_write_error(path, error ? error.value() : ELOOP);
    }
    target = target.parent_path() / next;
  }
  return target;
}

void write_atomically(const fs::path& path, const std::function<void(const fs::path&)>& write) {
  if (std::error_code unknown; fs::is_directory(path, unknown)) {
    throw_write_error(path, EISDIR);
  }
  if (is_stream(path)) {
    write_to_stream(path, write);
    return;
  }
  const auto target = link_target(path);
  fs::path temporary = target;
  temporary += ".tmp" + std::to_string(::getpid());
  std::error_code error;
  if (target.has_parent_path()) {
    fs::create_directories(target.parent_path(), error);
    if (error) {
      throw_write_error(path, error.value());
    }
  }
  try {
    write(temporary);
    flush_to_disk(temporary, path);
    fs::rename(temporary, target, error);
    if (error) {
      throw_write_error(path, error.value());
    }
  } catch (...) {
    fs::remove(temporary, error);
    throw;
  }
}

void check_can_write(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw_write_error(path, EISDIR);
  }
  if (is_stream(path)) {
    if (::access(path.c_str(), W_OK) != 0) {
      throw_write_error(path, errno);
    }
    return;
  }
  auto folder = fs::absolute(link_target(path), error).parent_path();
  while (!fs::exists(folder, error) && folder != folder.parent_path()) {
    folder = folder.parent_path();
  }
  if (!fs::is_directory(folder, error)) {
    throw_write_error(path, ENOTDIR);
  }
  try_new_file(folder, path);
}

bool replaces_content(const fs::path& path) {
  std::error_code none;
  return fs::is_regular_file(path, none) && fs::file_size(path, none) > 0 && !none &&
         !is_stream(path);
}

void write_text_file(const fs::path& path, const std::string& text,
                     const std::function<void()>& meanwhile) {
  write_atomically(path, [&](const fs::path& temporary) {
    errno = 0;
    std::ofstream file(temporary, std::ios::binary);
    file << text;
    file.close();
    if (!file) {
      throw_write_error(path, errno);
    }
    if (meanwhile) {
      meanwhile();
    }
  });
}

std::string read_text_file(const fs::path& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw_read_error(path, "it is a folder");
  }
  if (!file || !(text << file.rdbuf())) {
    if (!file || errno != 0) {
      throw_read_error(path, errno);
    }
    return "";  // a stream counts it as a failure that nothing was copied
  }
  return text.str();
}

}  // namespace softmoe
