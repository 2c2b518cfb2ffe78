#pragma once
/// The machine and the process that results are measured in.

#include <string>

#include "core/options.h"

namespace softmoe {

/// The processor, the level `isa` of the kernels in use (level_name() of ops/), the cores, the
/// threads in use, memory, accelerators, and the versions of softmoe, libtorch and the compiler:
/// the `machine` object of every `--json` result.
Json machine_description(const std::string& isa);

/// Makes this process fast at computing; a program calls it first of all. Freed memory is kept for
/// the next step of a training run (keep_freed_memory): without that a step would spend a tenth of
/// its time on page faults, and a third with many experts. OpenMP's threads sleep while they wait
/// for work: spinning, their default, stalls all threads if other jobs share the cores. OpenMP
/// reads OMP_WAIT_POLICY while the program is being loaded, so unless that is set, the program is
/// started again, once, with the same arguments. That takes half a second; `may_start_again` =
/// false avoids it, for programs that answer at once.
void prepare_process(bool may_start_again = true);

/// Sets the number of threads of libtorch's operators; 0 means one per core of this process.
void set_compute_threads(int64_t threads);

}  // namespace softmoe
