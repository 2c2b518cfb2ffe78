#pragma once
/// The tasks of this program, one source each. A task throws if a result is wrong.

#include <filesystem>
#include <stdexcept>
#include <string>

namespace consumer {

/// The folder for files, which exists and is empty at first.
using Folder = std::filesystem::path;

/// Optimizer steps on one batch, in a loop of this program.
void train_steps();
/// Trains a Soft MoE model on the digits and writes its run into runs/upstream.
void train(const Folder& folder);
/// Fine-tunes that model and writes runs/finetuned.
void finetune(const Folder& folder);
/// Evaluates the features of that model with few shots.
void run_few_shot(const Folder& folder);
/// Predicts the labels of images and of an array.
void predict(const Folder& folder);
/// Writes the model as ONNX.
void export_onnx(const Folder& folder);
/// Writes a model under the names of another library and reads it back.
void read_foreign_checkpoint(const Folder& folder);

/// The checkpoint of train().
inline std::filesystem::path upstream_checkpoint(const Folder& folder) {
  return folder / "runs" / "upstream" / "last.h5";
}

inline void check(bool is_right, const std::string& what) {
  if (!is_right) {
    throw std::runtime_error("wrong: " + what);
  }
}

}  // namespace consumer
