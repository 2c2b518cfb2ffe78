#include "checkpoints/tensor_file.h"

#include "checkpoints/formats/torch_file.h"
#include "checkpoints/image_tower.h"
#include "core/error.h"
#include "io/bounded_json.h"
#include "io/mapped_file.h"
#include "io/npz.h"

namespace softmoe {
namespace {

namespace fs = std::filesystem;

/// Reads the config file beside `file`.
void read_config(TensorFile& file) {
  const fs::path config = file.path.parent_path() / kConfigName;
  std::error_code error;
  if (!fs::is_regular_file(config, error)) {
    return;
  }
  try {
    auto value = parse_sorted_json(MappedFile::open(config)->bytes(), config.string());
    if (!value.is_object()) {
      throw InputError(config.string(), "a JSON object", value.type_name());
    }
    file.config = std::move(value);
  } catch (const InputError& problem) {
    // It may belong to something else in that folder.
    file.config_problem = problem.what();
  }
}

}  // namespace

TensorFile read_tensor_file(const fs::path& given) {
  TensorFile file{.path = model_file(given)};
  file.format = tensor_format(file.path);
  if (file.format == TensorFormat::kHdf5) {
    auto checkpoint = load_image_checkpoint(file.path, {.optimizer = false});
    file.tensors = std::move(checkpoint.model);
    file.config = std::move(checkpoint.metadata);
    return file;
  }
  read_config(file);
  switch (file.format) {
    case TensorFormat::kSafetensors: {
      auto read = read_safetensors_file(file.path);
      file.tensors = std::move(read.tensors);
      file.metadata = std::move(read.metadata);
      break;
    }
    case TensorFormat::kNpz:
      file.tensors = read_npz(file.path);
      file.comment = npz_comment(file.path);
      break;
    default: {
      auto read = read_torch_file(file.path);
      file.tensors = std::move(read.tensors);
      file.opaque = std::move(read.opaque);
    }
  }
  return file;
}

}  // namespace softmoe
