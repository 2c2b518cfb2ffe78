#include "io/hdf5_driver.h"

#include <H5FDpublic.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>

namespace softmoe {
namespace {

/// HDF5 keeps a pointer to the first member and hands it to each function below.
struct DriverFile {
  H5FD_t head{};
  int descriptor = -1;
  bool writable = false;
  haddr_t end_of_allocation = 0;
  haddr_t end_of_file = 0;
  Hdf5FileState* state = nullptr;
};

DriverFile* driver_file(H5FD_t* file) { return reinterpret_cast<DriverFile*>(file); }
const DriverFile* driver_file(const H5FD_t* file) {
  return reinterpret_cast<const DriverFile*>(file);
}

void remember(Hdf5FileState* state, int error) {
  if (state->error == 0) {
    state->error = error;
  }
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t access_list, haddr_t max_address) {
  const auto* info = static_cast<Hdf5FileState* const*>(H5Pget_driver_info(access_list));
  if (info == nullptr || max_address == 0) {
    return nullptr;
  }
  auto file = std::make_unique<DriverFile>();
  file->state = *info;
  file->writable = (flags & H5F_ACC_RDWR) != 0;
  int open_flags = (file->writable ? O_RDWR : O_RDONLY) | O_CLOEXEC;
  open_flags |= (flags & H5F_ACC_TRUNC) != 0 ? O_TRUNC : 0;
  open_flags |= (flags & H5F_ACC_CREAT) != 0 ? O_CREAT : 0;
  open_flags |= (flags & H5F_ACC_EXCL) != 0 ? O_EXCL : 0;
  file->descriptor = ::open(name, open_flags, 0666);
  struct stat status {};
  if (file->descriptor < 0 || ::fstat(file->descriptor, &status) != 0) {
    // HDF5 first tries to open a file that it is to make; that it is missing is no failure.
    if (errno != ENOENT || !file->writable || (flags & H5F_ACC_CREAT) != 0) {
      remember(file->state, errno);
    }
    if (file->descriptor >= 0) {
      ::close(file->descriptor);
    }
    return nullptr;
  }
  file->end_of_file = static_cast<haddr_t>(status.st_size);
  file->state->descriptor = file->descriptor;
  return &file.release()->head;
}

herr_t close_file(H5FD_t* head) {
  const std::unique_ptr<DriverFile> file(driver_file(head));
  file->state->descriptor = -1;
  if (::close(file->descriptor) != 0) {
    remember(file->state, errno);
  }
  return 0;
}

herr_t query_features(const H5FD_t* /*file*/, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA;
#ifdef H5FD_FEAT_DEFAULT_VFD_COMPATIBLE
  *flags |= H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
#endif
  return 0;
}

haddr_t get_end_of_allocation(const H5FD_t* file, H5FD_mem_t /*type*/) {
  return driver_file(file)->end_of_allocation;
}

herr_t set_end_of_allocation(H5FD_t* file, H5FD_mem_t /*type*/, haddr_t address) {
  driver_file(file)->end_of_allocation = address;
  return 0;
}

haddr_t get_end_of_file(const H5FD_t* file, H5FD_mem_t /*type*/) {
  return driver_file(file)->end_of_file;
}

herr_t read_bytes(H5FD_t* head, H5FD_mem_t /*type*/, hid_t /*transfer*/, haddr_t address,
                  size_t size, void* buffer) {
  DriverFile* file = driver_file(head);
  auto* out = static_cast<char*>(buffer);
  while (size > 0) {
    const ssize_t got = ::pread(file->descriptor, out, size, static_cast<off_t>(address));
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got == 0 && file->writable) {
      std::memset(out, 0, size);  // allocated in a new file, but not written yet
      return 0;
    }
    if (got <= 0) {
      file->state->ended_early = got == 0;
      remember(file->state, got == 0 ? 0 : errno);
      return -1;
    }
    out += got;
    address += static_cast<haddr_t>(got);
    size -= static_cast<size_t>(got);
  }
  return 0;
}

herr_t write_bytes(H5FD_t* head, H5FD_mem_t /*type*/, hid_t /*transfer*/, haddr_t address,
                   size_t size, const void* buffer) {
  DriverFile* file = driver_file(head);
  const auto* in = static_cast<const char*>(buffer);
  while (size > 0 && file->state->error == 0) {
    const ssize_t put = ::pwrite(file->descriptor, in, size, static_cast<off_t>(address));
    if (put < 0 && errno == EINTR) {
      continue;
    }
    if (put <= 0) {
      remember(file->state, put == 0 ? ENOSPC : errno);
      break;
    }
    in += put;
    address += static_cast<haddr_t>(put);
    size -= static_cast<size_t>(put);
  }
  file->end_of_file = std::max(file->end_of_file, address + size);
  return 0;
}

herr_t truncate_file(H5FD_t* head, hid_t /*transfer*/, hbool_t /*closing*/) {
  DriverFile* file = driver_file(head);
  if (file->writable && file->end_of_allocation != file->end_of_file) {
    if (file->state->error == 0 &&
        ::ftruncate(file->descriptor, static_cast<off_t>(file->end_of_allocation)) != 0) {
      remember(file->state, errno);
    }
    file->end_of_file = file->end_of_allocation;
  }
  return 0;
}

hid_t register_driver() {
  H5FD_class_t driver{};
#if H5_VERSION_GE(1, 13, 0)
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(H5_VFD_MAX);
#endif
  driver.name = "softmoe";
  driver.maxaddr = static_cast<haddr_t>(std::numeric_limits<off_t>::max());
  driver.fc_degree = H5F_CLOSE_STRONG;
  driver.fapl_size = sizeof(Hdf5FileState*);
  driver.open = open_file;
  driver.close = close_file;
  driver.query = query_features;
  driver.get_eoa = get_end_of_allocation;
  driver.set_eoa = set_end_of_allocation;
  driver.get_eof = get_end_of_file;
  driver.read = read_bytes;
  driver.write = write_bytes;
  driver.truncate = truncate_file;
  constexpr H5FD_mem_t kFreeLists[] = H5FD_FLMAP_DICHOTOMY;
  std::copy(std::begin(kFreeLists), std::end(kFreeLists), driver.fl_map);
  return H5FDregister(&driver);
}

}  // namespace

hid_t make_hdf5_access_list(Hdf5FileState* state) {
  constexpr hsize_t kAlignedSize = 1 << 20;
  constexpr hsize_t kAlignment = 4096;  // large arrays begin on a page
  static const hid_t driver = register_driver();
  const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_driver(list, driver, &state);
  H5Pset_fclose_degree(list, H5F_CLOSE_STRONG);
  // From 1.8 on HDF5 protects its structures by checksums and allows attributes above 64 KiB.
  H5Pset_libver_bounds(list, H5F_LIBVER_V18, H5F_LIBVER_LATEST);
  H5Pset_alignment(list, kAlignedSize, kAlignment);
  return list;
}

}  // namespace softmoe
