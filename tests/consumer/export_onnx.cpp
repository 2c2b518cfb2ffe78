#include "checkpoints/model_checkpoint.h"
#include "onnx/onnx_model.h"
#include "tasks.h"

namespace consumer {

void export_onnx(const Folder& folder) {
  const auto loaded = softmoe::load_weights(upstream_checkpoint(folder));
  const softmoe::OnnxOptions options{.features = true};
  const auto graph = softmoe::onnx_model(loaded.description, loaded.weights, options);
  const auto files = softmoe::write_onnx(graph, folder / "model.onnx", options.external_data);
  check(std::filesystem::file_size(files.model) > 1'000'000, "size of the ONNX model");
}

}  // namespace consumer
