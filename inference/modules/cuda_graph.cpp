#include "inference/modules/cuda_graph.h"

#include <ATen/cuda/CUDAGraph.h>

#include <mutex>

namespace softmoe {
namespace {

/// One recording at a time: libraries and the allocator keep state beside the recorded stream.
std::mutex& recording_mutex() {
  static std::mutex mutex;
  return mutex;
}

class CudaGraph final : public DeviceGraph {
 public:
  explicit CudaGraph(CudaGraph* sibling)
      : pool_(sibling != nullptr ? sibling->graph_.pool() : c10::MempoolId_t{0, 0}) {}

  void record(const std::function<void()>& pass) override {
    const std::scoped_lock lock(recording_mutex());
    // Other threads may allocate and copy meanwhile.
    graph_.capture_begin(pool_, cudaStreamCaptureModeThreadLocal);
    try {
      pass();
    } catch (...) {
      leave_capture();
      throw;
    }
    graph_.capture_end();
  }

  void replay() override { graph_.replay(); }

 private:
  /// Ends a recording that failed: until then its stream takes no other work.
  void leave_capture() noexcept {
    try {
      graph_.capture_end();
    } catch (const std::exception&) {
      // A recording that failed also ends with an error; the first error is reported.
    }
  }

  c10::MempoolId_t pool_;
  at::cuda::CUDAGraph graph_;
};

}  // namespace

std::unique_ptr<DeviceGraph> make_cuda_graph(DeviceGraph* sibling) {
  return std::make_unique<CudaGraph>(dynamic_cast<CudaGraph*>(sibling));
}

}  // namespace softmoe
