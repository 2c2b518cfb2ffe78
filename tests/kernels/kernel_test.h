#pragma once
/// What all tests of kernels include: each runs on every level that the processor has.

#include "kernels/plain.h"
#include "kernels/table.h"
#include "support/levels.h"
