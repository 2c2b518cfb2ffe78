#include "parallel/core_share.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace softmoe {

int64_t cores_of_process(const World& world) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int64_t cores = 1;
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  std::string place = host.data();
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    cores = CPU_COUNT(&set);
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      place += CPU_ISSET(core, &set) ? fmt::format(",{}", core) : "";
    }
  }
  const auto places = world.gather_texts(place);
  return std::max<int64_t>(1, cores / std::count(places.begin(), places.end(), place));
}

}  // namespace softmoe
