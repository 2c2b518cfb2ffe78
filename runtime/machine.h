#pragma once
/// What a result was measured on and with.

#include "core/options.h"

namespace softmoe {

/// The processor, its cores, the threads in use, memory, accelerators, and the versions of softmoe,
/// libtorch and the compiler: the `machine` object of every `--json` result.
Json machine_description();

/// Makes this process fast at computing; a program calls it before it has done anything else.
/// Freed memory stays mapped for the next step of a training run, which would otherwise spend a
/// tenth of its time on page faults, and a third with many experts. OpenMP's threads sleep while
/// they wait for work: spinning, their default, stalls everything where other jobs share the cores.
/// OpenMP reads that from the environment while the program is being loaded, so the program is
/// started again, once, with the same arguments, unless OMP_WAIT_POLICY is set. That takes half a
/// second, so programs that are to answer at once leave it out (`may_start_again`).
void prepare_process(bool may_start_again = true);

/// Sets the number of threads of libtorch's operators; 0 means one per core of this process.
void set_compute_threads(int64_t threads);

}  // namespace softmoe
