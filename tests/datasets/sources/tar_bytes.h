#pragma once
/// Tar files, written without a library.

#include <string>
#include <utility>
#include <vector>

namespace softmoe::test {

/// How names of members are written: in the header, in a record of GNU tar before it, or in one of
/// POSIX's pax.
enum class TarStyle { kUstar, kGnu, kPax };

/// A tar file of members, each a name and its bytes. kUstar takes names of up to 100 bytes.
std::string tar_bytes(const std::vector<std::pair<std::string, std::string>>& members,
                      TarStyle style = TarStyle::kUstar);

}  // namespace softmoe::test
