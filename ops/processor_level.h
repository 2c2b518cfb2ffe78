#pragma once
/// The level of the processor that operators and inference compute with.

#include <string>

namespace softmoe {

/// The name of the level of the kernels in use, such as "avx2" (kernels/level.h): the highest one
/// that the processor runs, or the value of the environment variable SOFTMOE_ISA. Throws UsageError
/// for a value that is not the name of a level of this processor.
std::string level_name();

}  // namespace softmoe
