#include "parallel/world_environment.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "core/error.h"

namespace softmoe {
namespace {

constexpr int64_t kMaxPort = 65'535;
/// Ports that are derived from the number of a job lie from here on, below those that systems give
/// out by themselves.
constexpr int64_t kFirstPort = 20'000;
constexpr int64_t kPorts = 12'000;
constexpr const char* kLoopback = "127.0.0.1";

/// The integer that the variable `name` holds; nothing if it is not set. Throws UsageError unless
/// it is in [min, max].
std::optional<int64_t> number(const GetVariable& get, const std::string& name, int64_t min = 0,
                              int64_t max = 1'000'000) {
  const auto text = get(name);
  if (!text) {
    return std::nullopt;
  }
  int64_t value = -1;
  const auto* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, value);
  if (error != std::errc() || stop != end || value < min || value > max) {
    throw UsageError("environment variable " + name,
                     "a number from " + std::to_string(min) + " to " + std::to_string(max),
                     "'" + printable_text(*text) + "'");
  }
  return value;
}

/// The number in `name`, which must be there since `beside` is.
int64_t needed(const GetVariable& get, const std::string& name, const std::string& beside,
               int64_t min = 0, int64_t max = 1'000'000) {
  const auto value = number(get, name, min, max);
  if (!value) {
    throw UsageError("environment variable " + name, "a number, since " + beside + " is set",
                     "none");
  }
  return *value;
}

void check_rank(const std::string& name, int64_t rank, const std::string& of, int64_t size) {
  if (rank >= size) {
    throw UsageError("environment variable " + name,
                     "less than the " + std::to_string(size) + " of " + of, std::to_string(rank));
  }
}

/// Sets the place among the processes of the machine from the variables `rank` and `size`.
void read_local(const GetVariable& get, const std::string& rank, const std::string& size,
                WorldEnvironment& world) {
  world.local_size = number(get, size, 1, world.size).value_or(0);
  world.local_rank = number(get, rank).value_or(0);
  if (world.local_size > 0) {
    check_rank(rank, world.local_rank, size, world.local_size);
  }
}

/// Sets the place where the processes meet, if variables name it.
void read_meeting_place(const GetVariable& get, WorldEnvironment& world) {
  world.address = get("MASTER_ADDR").value_or("");
  world.port = number(get, "MASTER_PORT", 1, kMaxPort).value_or(0);
}

/// A port that all processes of the job `key` derive alike.
int64_t port_of(const std::string& key) {
  return kFirstPort + static_cast<int64_t>(XXH3_64bits(key.data(), key.size()) % kPorts);
}

/// Throws UsageError if another launcher gives this process another rank than RANK and WORLD_SIZE.
void check_other_launcher(const GetVariable& get, const WorldEnvironment& world) {
  const auto other_rank = number(get, "OMPI_COMM_WORLD_RANK");
  const auto other_size = number(get, "OMPI_COMM_WORLD_SIZE", 1);
  // torchrun is itself started by the launcher of a cluster, once per machine.
  if (get("TORCHELASTIC_RUN_ID") || !other_rank || !other_size || *other_size == 1) {
    return;
  }
  if (*other_rank != world.rank || *other_size != world.size) {
    throw UsageError("environment variables RANK and WORLD_SIZE",
                     "rank " + std::to_string(*other_rank) + " of " + std::to_string(*other_size) +
                         " as OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE say",
                     "rank " + std::to_string(world.rank) + " of " + std::to_string(world.size));
  }
}

WorldEnvironment read_torchrun(const GetVariable& get) {
  WorldEnvironment world;
  world.size = needed(get, "WORLD_SIZE", "RANK", 1);
  world.rank = needed(get, "RANK", "WORLD_SIZE");
  check_rank("RANK", world.rank, "WORLD_SIZE", world.size);
  read_local(get, "LOCAL_RANK", "LOCAL_WORLD_SIZE", world);
  check_other_launcher(get, world);
  if (world.is_alone()) {
    return world;
  }
  read_meeting_place(get, world);
  for (const auto* name : {"MASTER_ADDR", "MASTER_PORT"}) {
    if (get(name).value_or("").empty()) {
      throw UsageError(std::string("environment variable ") + name,
                       "where the processes of WORLD_SIZE meet", "none");
    }
  }
  world.store_is_there = get("TORCHELASTIC_USE_AGENT_STORE").value_or("") == "True";
  world.restarts = number(get, "TORCHELASTIC_RESTART_COUNT").value_or(0);
  return world;
}

WorldEnvironment read_open_mpi(const GetVariable& get) {
  WorldEnvironment world;
  world.rank = needed(get, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE");
  world.size = needed(get, "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", 1);
  check_rank("OMPI_COMM_WORLD_RANK", world.rank, "OMPI_COMM_WORLD_SIZE", world.size);
  read_local(get, "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", world);
  read_meeting_place(get, world);
  if (world.address.empty() && world.local_size == world.size) {
    world.address = kLoopback;
  }
  if (world.address.empty() && !world.is_alone()) {
    throw UsageError("environment variable MASTER_ADDR",
                     "the host of rank 0 (mpirun -x MASTER_ADDR=HOST)", "none");
  }
  if (world.port == 0) {
    world.port = port_of(get("PMIX_NAMESPACE").value_or(""));
  }
  return world;
}

WorldEnvironment read_slurm(const GetVariable& get) {
  WorldEnvironment world;
  world.rank = needed(get, "SLURM_PROCID", "SLURM_STEP_ID");
  const auto* const size = get("SLURM_STEP_NUM_TASKS") ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS";
  world.size = needed(get, size, "SLURM_STEP_ID", 1);
  check_rank("SLURM_PROCID", world.rank, size, world.size);
  world.local_rank = number(get, "SLURM_LOCALID").value_or(0);
  const bool is_one_machine = number(get, "SLURM_STEP_NUM_NODES", 1).value_or(0) == 1;
  world.local_size = is_one_machine ? world.size : 0;
  if (world.is_alone()) {
    return world;
  }
  read_meeting_place(get, world);
  if (world.address.empty()) {
    world.address =
        is_one_machine ? kLoopback : first_host(get("SLURM_STEP_NODELIST").value_or(""));
  }
  if (world.port == 0) {
    world.port =
        port_of(get("SLURM_JOB_ID").value_or("") + "." + get("SLURM_STEP_ID").value_or(""));
  }
  return world;
}

}  // namespace

std::optional<std::string> environment_variable(const std::string& name) {
  const char* const value = std::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

WorldEnvironment read_world_environment(const GetVariable& get) {
  const bool is_one = get("WORLD_SIZE").value_or("") == "1" && !get("RANK");
  if ((get("RANK") || get("WORLD_SIZE")) && !is_one) {
    return read_torchrun(get);
  }
  if (get("OMPI_COMM_WORLD_RANK") || get("OMPI_COMM_WORLD_SIZE")) {
    return read_open_mpi(get);
  }
  // Slurm sets the other variables in scripts and shells, too, which are one process each.
  return get("SLURM_STEP_ID") ? read_slurm(get) : WorldEnvironment{};
}

std::string first_host(const std::string& list) {
  const auto open = list.find_first_of("[,");
  auto host = list.substr(0, open);
  if (open != std::string::npos && list[open] == '[') {
    const auto close = list.find(']', open);
    const auto inner = list.substr(open + 1, list.find_first_of(",-]", open) - open - 1);
    const auto rest = close == std::string::npos ? "" : list.substr(close + 1);
    host += inner + rest.substr(0, rest.find(','));
  }
  if (host.empty()) {
    throw UsageError("environment variable SLURM_STEP_NODELIST",
                     "hosts (or MASTER_ADDR, the host of rank 0)",
                     "'" + printable_text(list) + "'");
  }
  return host;
}

}  // namespace softmoe
