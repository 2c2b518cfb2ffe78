#pragma once
/// Precompiled for every source of the project; headers include only what they need. All of
/// torch/torch.h here would cost each source two more seconds than these parts of it.

#include <torch/nn/cloneable.h>
#include <torch/nn/pimpl.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>
