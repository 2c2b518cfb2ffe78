#pragma once
/// The tasks of this program, one source each. A task throws if a result is wrong.

#include <filesystem>
#include <stdexcept>
#include <string>

namespace consumer {

/// The folder for files, which exists and is empty at first.
using Folder = std::filesystem::path;

/// One optimizer step on a batch.
void train_a_step();
/// Writes model.h5 and reads it back as a predictor.
void predict(const Folder& folder);
/// Writes model.onnx.
void export_onnx(const Folder& folder);
/// Writes a checkpoint under timm's names and reads it back.
void read_foreign_checkpoint(const Folder& folder);

inline void check(bool is_right, const std::string& what) {
  if (!is_right) {
    throw std::runtime_error("wrong: " + what);
  }
}

}  // namespace consumer
