#pragma once
/// How many cores each of several processes of a machine has.

#include <cstdint>

#include "parallel/world.h"

namespace softmoe {

/// The cores that this process has for itself, at least 1: those that it may use, divided by the
/// processes of `world` that may use the same ones. Launchers that bind each process to its own
/// cores leave nothing to divide.
int64_t cores_of_process(const World& world);

}  // namespace softmoe
