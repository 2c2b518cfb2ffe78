#pragma once
/// The file driver that io/hdf5 gives to HDF5's library, which crashes if a file cannot be closed
/// properly (versions 1.10 to 1.14, for instance on a full disk). The driver remembers the first
/// failure of the system and ignores everything written after it, so that the library closes its
/// files without an error and the caller gets the error of the system. Private to io.

#include <hdf5.h>

namespace softmoe {

/// Failures of the system with an open file. Must outlive the HDF5 file.
struct Hdf5FileState {
  int error = 0;             ///< errno of the first failure; 0: none
  bool ended_early = false;  ///< the library read beyond the end of the file
  int descriptor = -1;       ///< of the open file, owned by the driver
};

/// A new access property list for files that use the driver and report to `state`.
hid_t make_hdf5_access_list(Hdf5FileState* state);

}  // namespace softmoe
