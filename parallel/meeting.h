#pragma once
/// How the processes of a run find each other.

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

#include "parallel/world_environment.h"

namespace softmoe {

using MeetingStore = c10::intrusive_ptr<c10d::Store>;

/// The store in which the processes of `environment` meet; `is_keeper` says that this one keeps it.
/// Throws InputError that names its address if it cannot be reached.
MeetingStore meeting_store(const WorldEnvironment& environment, bool is_keeper);

/// Waits until all processes are there. Throws InputError that names those that are not, or that
/// run another version.
void check_in(const MeetingStore& store, const WorldEnvironment& environment);

/// The network by which Gloo connects the processes.
c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> gloo_options(
    const WorldEnvironment& environment);

}  // namespace softmoe
