#pragma once
/// Images without labels from files, folders and arrays.

#include <torch/types.h>

#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"

namespace softmoe {

/// The image files that `paths` name, in their order; a folder stands for all image files below it,
/// sorted, and "-" is standard input. Files are opened when they are read; a file that cannot be
/// opened is a bad image then. Pipes are read to their end, once. Throws InputError for a folder
/// without images, UsageError for a pipe that is given twice.
std::unique_ptr<Dataset> open_image_paths(const std::vector<std::string>& paths);

/// Images in memory, [images, height, width, channels] uint8 with 1 or 3 channels. Image i is
/// called "name[i]". Throws InputError that names `name` for another dtype or shape.
std::unique_ptr<Dataset> open_image_array(const torch::Tensor& images, const std::string& name);

/// Dtype and shape for a message, "uint8 [2, 28, 28, 1]".
std::string array_text(const torch::Tensor& array);

}  // namespace softmoe
