#include "vit/text_batch.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "core/tensor_check.h"

namespace softmoe {
namespace {

/// The numbers of texts with `lengths`, the shortest first, equal ones in their order.
std::vector<int64_t> by_length(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return lengths[static_cast<size_t>(a)] < lengths[static_cast<size_t>(b)];
  });
  return order;
}

torch::Tensor on_device(const std::vector<int64_t>& values, const torch::Device& device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

}  // namespace

TextBatch pack_texts(const torch::Tensor& ids, const torch::Tensor& lengths, int64_t context) {
  check_shape("pack_texts: ids", ids, {-1, -1});
  check_shape("pack_texts: lengths", lengths, {ids.size(0)});
  TORCH_CHECK_VALUE(ids.size(0) > 0, "pack_texts: a batch without texts");
  TORCH_CHECK_VALUE(ids.scalar_type() == torch::kInt64 && lengths.scalar_type() == torch::kInt64,
                    "pack_texts: expected int64 ids and lengths, found ", ids.scalar_type(),
                    " and ", lengths.scalar_type());
  const auto on_host = lengths.to(torch::kCPU).contiguous();
  const std::vector<int64_t> sizes(on_host.const_data_ptr<int64_t>(),
                                   on_host.const_data_ptr<int64_t>() + on_host.numel());
  const int64_t width = ids.size(1);
  const int64_t longest = std::min(width, context);
  TextBatch batch;
  std::vector<int64_t> positions;
  std::vector<int64_t> cells;
  std::vector<int64_t> first(sizes.size());
  std::vector<int64_t> place(sizes.size());
  int64_t next_place = 0;
  for (const int64_t text : by_length(sizes)) {
    const int64_t length = sizes[static_cast<size_t>(text)];
    TORCH_CHECK_VALUE(length >= 1 && length <= longest, "pack_texts: expected lengths from 1 to ",
                      longest, ", found ", length, " for text ", text);
    auto& runs = batch.sequences.runs;
    if (runs.empty() || runs.back().length != length) {
      runs.push_back({.count = 0, .length = length});
    }
    ++runs.back().count;
    first[static_cast<size_t>(text)] = std::ssize(cells);
    place[static_cast<size_t>(text)] = next_place++;
    for (int64_t position = 0; position < length; ++position) {
      positions.push_back(position);
      cells.push_back(text * width + position);
    }
  }
  const auto device = ids.device();
  batch.positions = on_device(positions, device);          // [tokens]
  batch.cells = on_device(cells, device);                  // [tokens]
  batch.first = on_device(first, device);                  // [batch]
  batch.place = on_device(place, device);                  // [batch]
  batch.lengths = on_host.to(device);                      // [batch]
  batch.ids = ids.flatten().index_select(0, batch.cells);  // [tokens]
  return batch;
}

}  // namespace softmoe
