#pragma once
/// Forward passes as recorded graphs of device operators, one per batch size: launching the
/// hundreds of small operators of a model one by one takes longer than running them.

#include <c10/core/Stream.h>
#include <torch/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>

#include "inference/modules/lru_cache.h"

namespace softmoe {

/// Device operators that are recorded once and replayed on the same memory.
class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  /// Records what `pass` enqueues on this thread's stream, without running it. Throws what `pass`
  /// throws; the stream then works as before, and the graph must not be used.
  virtual void record(const std::function<void()>& pass) = 0;
  /// Enqueues what was recorded on this thread's stream.
  virtual void replay() = 0;
};

/// Makes a graph. `sibling`, null or another graph from here, may share its memory for intermediate
/// results: the two never run at once.
using MakeDeviceGraph = std::function<std::unique_ptr<DeviceGraph>(DeviceGraph* sibling)>;

/// Runs one pass for batches of any size. The pass must be the same operators for every batch of a
/// size: it reads nothing back on the host and draws no random numbers (is_recordable).
///
/// A batch size is recorded as it is, without padding: images may depend on their batch (routers
/// with groups), and padding costs time. The first batch of a size runs operator by operator, so
/// that the odd last batch of a data set costs no recording. The second one does too, and the pass
/// is recorded after it, when the workspaces of all libraries are in place. From the third one on
/// the recording is replayed. The graphs of `max_graphs` sizes are kept. If recording fails, a line
/// is logged, and all batches run operator by operator from then on.
///
/// All work is on a stream of its own, ordered with the stream of the caller, from whatever thread
/// the call comes: graphs that share memory never overlap. One call at a time.
class GraphRunner {
 public:
  /// From `input` [batch, ...], fp32 on the device, to its output [batch, ...].
  using Pass = std::function<torch::Tensor(const torch::Tensor& input)>;

  static constexpr size_t kMaxGraphs = 16;

  GraphRunner(const torch::Device& device, Pass pass, MakeDeviceGraph make_graph,
              size_t max_graphs = kMaxGraphs);
  ~GraphRunner();
  GraphRunner(const GraphRunner&) = delete;
  GraphRunner& operator=(const GraphRunner&) = delete;

  /// Fills `output`, on the device and of the shape that the pass gives, from `input` of any
  /// floating dtype and device.
  void run(const torch::Tensor& input, torch::Tensor& output);

  /// Graphs that are kept.
  size_t graphs() const { return recordings_.size(); }
  /// Returns true if a pass could not be recorded.
  bool has_failed() const { return has_failed_; }

 private:
  struct Recording {
    torch::Tensor input;
    torch::Tensor output;
    std::unique_ptr<DeviceGraph> graph;
  };

  /// run() on the stream of this object.
  void run_here(const torch::Tensor& input, torch::Tensor& output);
  void record(const torch::Tensor& input, const torch::Tensor& output);

  torch::Device device_;
  std::optional<c10::Stream> stream_;  // devices with streams
  Pass pass_;
  MakeDeviceGraph make_graph_;
  std::set<int64_t> seen_;  // batch sizes that ran once since they were last recorded
  LruCache<int64_t, Recording> recordings_;
  bool has_failed_ = false;
};

}  // namespace softmoe
