#include "inference/modules/graph_runner.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <fmt/format.h>

#include "core/log.h"

namespace softmoe {
namespace {

std::optional<c10::Stream> stream_of_device(const torch::Device& device) {
  if (device.is_cpu()) {
    return std::nullopt;
  }
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

/// From now on work on `later` waits for the work that is on `earlier` already.
void put_in_order(const c10::Stream& earlier, const c10::Stream& later) {
  c10::Event event(earlier.device_type());
  event.record(earlier);
  event.block(later);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

}  // namespace

GraphRunner::GraphRunner(const torch::Device& device, Pass pass, MakeDeviceGraph make_graph,
                         size_t max_graphs)
    : device_(device),
      stream_(stream_of_device(device)),
      pass_(std::move(pass)),
      make_graph_(std::move(make_graph)),
      recordings_(max_graphs) {}

GraphRunner::~GraphRunner() {
  if (!stream_) {
    return;
  }
  // Weights and buffers that the last pass still reads are about to be freed.
  try {
    stream_->synchronize();
  } catch (const std::exception& error) {
    log_line("GraphRunner: " + first_line(error.what()));
  }
}

void GraphRunner::run(const torch::Tensor& input, torch::Tensor& output) {
  if (!stream_) {
    run_here(input, output);
    return;
  }
  const auto callers = c10::impl::VirtualGuardImpl(device_.type()).getStream(device_);
  put_in_order(callers, *stream_);
  {
    const c10::StreamGuard guard(*stream_);
    run_here(input, output);
  }
  put_in_order(*stream_, callers);
}

void GraphRunner::run_here(const torch::Tensor& input, torch::Tensor& output) {
  const int64_t batch = input.size(0);
  if (auto* recording = recordings_.find(batch)) {
    recording->input.copy_(input);
    recording->graph->replay();
    output.copy_(recording->output);
    return;
  }
  output.copy_(pass_(input.to(device_, torch::kFloat32)));
  if (batch == 0 || has_failed_ || seen_.insert(batch).second) {
    return;
  }
  try {
    record(input, output);
    seen_.erase(batch);
  } catch (const std::exception& error) {
    has_failed_ = true;
    log_line(fmt::format("GraphRunner: no graph for batches of {}, operators run one by one: {}",
                         batch, first_line(error.what())));
  }
}

void GraphRunner::record(const torch::Tensor& input, const torch::Tensor& output) {
  // The buffers are taken outside of the graph's memory, which siblings write over.
  Recording recording{
      .input = at::empty(input.sizes(), torch::TensorOptions(torch::kFloat32).device(device_)),
      .output = at::empty_like(output),
      .graph = make_graph_(recordings_.size() > 0 ? recordings_.latest()->graph.get() : nullptr)};
  recording.graph->record(
      [this, pixels = recording.input, result = recording.output] { result.copy_(pass_(pixels)); });
  recordings_.insert(input.size(0), std::move(recording));
}

}  // namespace softmoe
