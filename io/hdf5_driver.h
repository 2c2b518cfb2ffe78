#pragma once
/// The file driver that core/hdf5 gives to HDF5's library, which crashes when a file cannot be
/// closed properly (versions 1.10 to 1.14, for instance on a full disk). This one remembers the
/// first failure of the system and then swallows what is written, so that HDF5 always closes its
/// files in good order and the caller sees the system's own error. Private to core.

#include <hdf5.h>

namespace softmoe {

/// What the system said about an open file. Must outlive the HDF5 file.
struct Hdf5FileState {
  int error = 0;             ///< errno of the first failure, 0 where there was none
  bool ended_early = false;  ///< something was read behind the end of the file
  int descriptor = -1;       ///< of the open file; the driver's
};

/// A new access property list for files that use the driver and report to `state`.
hid_t make_hdf5_access_list(Hdf5FileState* state);

}  // namespace softmoe
