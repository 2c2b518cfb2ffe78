#include "parallel/meeting.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <vector>

#include "core/error.h"
#include "core/version.h"

namespace softmoe {
namespace {

constexpr std::chrono::minutes kMeetingTime{5};

}  // namespace

MeetingStore meeting_store(const WorldEnvironment& environment, bool is_keeper) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(environment.port);
  options.isServer = is_keeper;
  options.waitWorkers = false;
  options.timeout = kMeetingTime;
  try {
    const auto store = c10::make_intrusive<c10d::TCPStore>(environment.address, options);
    return c10::make_intrusive<c10d::PrefixStore>(fmt::format("softmoe/{}", environment.restarts),
                                                  store);
  } catch (const std::exception& error) {
    const auto place = fmt::format("{}:{}", environment.address, environment.port);
    throw InputError(is_keeper
                         ? fmt::format("cannot listen on {}: {}", place, single_line(error.what()))
                         : fmt::format("cannot reach {} at {} within {} s",
                                       environment.store_is_there ? "the launcher" : "rank 0",
                                       place, std::chrono::seconds(kMeetingTime).count()));
  }
}

void check_in(const MeetingStore& store, const WorldEnvironment& environment) {
  const auto key = [](int64_t rank) { return fmt::format("here/{}", rank); };
  store->set(key(environment.rank), std::string(kVersion));
  std::vector<std::string> keys;
  for (int64_t rank = 0; rank < environment.size; ++rank) {
    keys.push_back(key(rank));
  }
  try {
    store->wait(keys, kMeetingTime);
  } catch (const std::exception&) {
    std::vector<int64_t> missing;
    for (int64_t rank = 0; rank < environment.size; ++rank) {
      if (!store->check({key(rank)})) {
        missing.push_back(rank);
      }
    }
    throw InputError(fmt::format("processes of the run: rank {} did not come within {} s",
                                 fmt::join(missing, ", "),
                                 std::chrono::seconds(kMeetingTime).count()));
  }
  const auto versions = store->multiGet(keys);
  for (size_t rank = 1; rank < versions.size(); ++rank) {
    if (versions[rank] != versions[0]) {
      throw InputError(fmt::format("rank {}: expected softmoe {} as on rank 0, found {}", rank,
                                   std::string(versions[0].begin(), versions[0].end()),
                                   std::string(versions[rank].begin(), versions[rank].end())));
    }
  }
}

c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> gloo_options(
    const WorldEnvironment& environment) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(kMeetingTime);
  const auto cards = environment_variable("GLOO_SOCKET_IFNAME").value_or("");
  if (!cards.empty()) {
    for (size_t begin = 0; begin <= cards.size();) {
      const auto end = std::min(cards.find(',', begin), cards.size());
      options->devices.push_back(Gloo::createDeviceForInterface(cards.substr(begin, end - begin)));
      begin = end + 1;
    }
  } else if (environment.local_size == environment.size) {
    options->devices.push_back(Gloo::createDeviceForHostname("127.0.0.1"));
  } else {
    options->devices.push_back(Gloo::createDefaultDevice());
  }
  return options;
}

}  // namespace softmoe
