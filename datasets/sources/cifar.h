#pragma once
/// CIFAR-10 and CIFAR-100 in their binary versions.

#include <filesystem>
#include <memory>

#include "datasets/dataset.h"
#include "datasets/splits.h"

namespace softmoe {

/// CIFAR-10 or, with `hundred`, CIFAR-100 with its fine labels, from the folder of the binary
/// version or the folder above it. Throws InputError for missing files and impossible sizes and
/// labels. Source of the format: https://www.cs.toronto.edu/~kriz/cifar.html.
std::unique_ptr<Dataset> open_cifar(const std::filesystem::path& folder, SplitKind split,
                                    bool hundred);

}  // namespace softmoe
