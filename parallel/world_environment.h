#pragma once
/// Which of several processes this one is, as the environment says that launchers make: torchrun's
/// (Kubeflow's PyTorchJob and `softmoe launch` set the same variables), Open MPI's and Slurm's.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace softmoe {

/// A process among those that work on one thing.
struct WorldEnvironment {
  int64_t rank = 0;
  int64_t size = 1;
  int64_t local_rank = 0;    ///< among the processes of its machine
  int64_t local_size = 1;    ///< processes of its machine; 0: unknown
  std::string address = {};  ///< of the store in which the processes meet
  int64_t port = 0;
  bool store_is_there = false;  ///< the launcher keeps the store; else rank 0 does
  int64_t restarts = 0;         ///< by the launcher

  bool is_alone() const { return size == 1; }

  bool operator==(const WorldEnvironment&) const = default;
};

/// Returns the value of a variable, nothing if it is not set.
using GetVariable = std::function<std::optional<std::string>(const std::string& name)>;

/// The variables of this process.
std::optional<std::string> environment_variable(const std::string& name);

/// Reads RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT; else Open
/// MPI's OMPI_COMM_WORLD_*; else those of a step of Slurm (SLURM_STEP_ID, SLURM_PROCID, ...), to
/// which MASTER_ADDR and MASTER_PORT may be added. One process if there are none of these. Throws
/// UsageError that names the variable if some are missing, are no numbers, or contradict each
/// other.
WorldEnvironment read_world_environment(const GetVariable& get = environment_variable);

/// The first host of a list as Slurm writes it: "gpu[007-012,20]-a,login" gives "gpu007-a". Throws
/// UsageError for a list without a host.
std::string first_host(const std::string& list);

}  // namespace softmoe
