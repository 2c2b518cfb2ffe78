#pragma once
/// The embedded digits and a small model for them.

#include <memory>
#include <string>

#include "datasets/loader.h"
#include "vit/vision_transformer.h"

namespace softmoe::test {

/// 2 x 2 patches of the embedded digits.
inline VisionTransformer digit_model(const std::string& router = "soft") {
  VitOptions options;
  options.img_size = {8};
  options.patch_size = 4;
  options.in_chans = 1;
  options.num_classes = 10;
  options.dim = 12;
  options.depth = 3;
  options.heads = 2;
  options.mlp_dim = 20;
  options.moe_blocks = "0,2";
  options.moe.router = router;
  options.moe.experts = 5;
  options.moe.slots_per_expert = 2;
  torch::manual_seed(3);
  VisionTransformer model(options);
  model->eval();
  return model;
}

struct Digits {
  std::unique_ptr<Dataset> set;
  Transform transform;
};

inline Digits digits(const std::string& split = "val") {
  DatasetOptions data;
  data.dataset = "digits";
  PreprocessOptions preprocess;
  preprocess.input_size = {1, 8, 8};
  return {.set = make_dataset(data, split), .transform = Transform::evaluation(preprocess)};
}

inline LoaderOptions batches_of(int64_t size) {
  LoaderOptions options;
  options.batch_size = size;
  return options;
}

}  // namespace softmoe::test
