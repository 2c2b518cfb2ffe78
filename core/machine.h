#pragma once
/// What a result was measured on and with.

#include "core/options.h"

namespace softmoe {

/// The processor, its cores, the threads in use, memory, accelerators, and the versions of softmoe,
/// libtorch and the compiler: the `machine` object of every `--json` result.
Json machine_description();

/// Sets the number of threads of libtorch's operators; 0 means one per core of this process.
/// Threads that wait for work sleep instead of spinning where the environment does not say
/// otherwise (spinning stalls when other jobs share the cores), so call this before any operator.
void set_compute_threads(int64_t threads);

}  // namespace softmoe
