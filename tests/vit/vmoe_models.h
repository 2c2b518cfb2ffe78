#pragma once
/// The models of tests/fixtures/vmoe.

#include <fstream>
#include <string>
#include <vector>

#include "core/named_tensors.h"
#include "core/split_text.h"
#include "support/temporary_folder.h"
#include "vit/options.h"

namespace softmoe::test {

/// The parameters of a published model by the table `name` of the fixtures, in vmoe's names and
/// without memory.
inline NamedTensors vmoe_parameters(const std::string& name) {
  std::ifstream table(fixture("vmoe/" + name + ".tsv"));
  NamedTensors parameters;
  for (std::string line; std::getline(table, line);) {
    const auto tab = line.find('\t');
    std::vector<int64_t> shape;
    for (const auto& size : split_text(line.substr(tab + 1), ',')) {
      shape.push_back(std::stoll(size));
    }
    parameters[line.substr(0, tab)] = torch::empty(shape, torch::kMeta);
  }
  return parameters;
}

/// 4 x 4 patches, width 64 in 4 heads, 3 blocks, 10 classes; with `soft` MoE layers of 4 experts
/// and 4 slots in blocks 1 and 2.
inline VitOptions tiny_vmoe_options(bool soft) {
  VitOptions options;
  options.img_size = {32};
  options.patch_size = 8;
  options.dim = 64;
  options.depth = 3;
  options.heads = 4;
  options.mlp_dim = 128;
  options.num_classes = 10;
  options.qk_norm = true;
  if (soft) {
    options.moe_blocks = "1,2";
    options.moe.experts = 4;
    options.moe.slots_per_expert = 4;
  }
  return options;
}

}  // namespace softmoe::test
