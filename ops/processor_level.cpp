#include "ops/processor_level.h"

#include "kernels/level.h"

namespace softmoe {

std::string level_name() { return enum_name(kernels::level()); }

}  // namespace softmoe
