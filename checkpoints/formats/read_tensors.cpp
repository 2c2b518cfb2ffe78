#include "checkpoints/formats/read_tensors.h"

#include <ATen/Parallel.h>
#include <xxhash.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>

#include "runtime/memory/kept_memory.h"

namespace softmoe {
namespace {

/// Bytes that are read at a time, a large page of memory: their checksum is computed while they are
/// in the processor's cache.
constexpr size_t kPieceBytes = size_t{2} << 20;
/// Below this a thread takes longer to start than it saves.
constexpr size_t kBytesOfThread = size_t{16} << 20;
/// For large files: a disk serves several requests at once.
constexpr size_t kMinThreads = 4;

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

uint64_t read_tensor(size_t index, const torch::Tensor& tensor, const TensorReader& reader) {
  const std::unique_ptr<XXH3_state_t, FreeState> state(XXH3_createState());
  TORCH_CHECK(state != nullptr, "read_tensors: out of memory");
  XXH3_64bits_reset(state.get());
  auto* const data = static_cast<char*>(tensor.data_ptr());
  use_large_pages(data, tensor.nbytes());
  for (size_t begin = 0; begin < tensor.nbytes(); begin += kPieceBytes) {
    const size_t bytes = std::min(kPieceBytes, tensor.nbytes() - begin);
    reader.read(index, static_cast<int64_t>(begin), data + begin, bytes);
    XXH3_64bits_update(state.get(), data + begin, bytes);
  }
  return XXH3_64bits_digest(state.get());
}

/// Tensors in the order in which they are read, and the first failure.
class Queue {
 public:
  Queue(const std::vector<torch::Tensor>& tensors, const TensorReader& reader)
      : tensors_(tensors), reader_(reader), order_(tensors.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](size_t a, size_t b) { return tensors[a].nbytes() > tensors[b].nbytes(); });
  }

  /// Reads tensors until none is left or one has failed.
  void work() {
    // A tensor that was begun is read to its end: so the first of several failures is known.
    while (!failed_.load()) {
      const size_t place = next_.fetch_add(1);
      if (place >= order_.size()) {
        return;
      }
      const size_t index = order_[place];
      try {
        reader_.finish(index, read_tensor(index, tensors_[index], reader_));
      } catch (...) {
        const std::scoped_lock lock(mutex_);
        failed_ = true;
        if (place < failed_place_) {
          failed_place_ = place;
          error_ = std::current_exception();
        }
      }
    }
  }

  void rethrow() const {
    if (error_ != nullptr) {
      std::rethrow_exception(error_);
    }
  }

 private:
  const std::vector<torch::Tensor>& tensors_;
  const TensorReader& reader_;
  std::vector<size_t> order_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  size_t failed_place_ = SIZE_MAX;
  std::exception_ptr error_;
};

size_t thread_count(const std::vector<torch::Tensor>& tensors) {
  size_t bytes = 0;
  for (const auto& tensor : tensors) {
    bytes += tensor.nbytes();
  }
  const auto cores = static_cast<size_t>(at::get_num_threads());
  return std::min({std::max(cores, kMinThreads), bytes / kBytesOfThread + 1,
                   std::max<size_t>(tensors.size(), 1)});
}

}  // namespace

void read_tensors(const std::vector<torch::Tensor>& tensors, const TensorReader& reader) {
  for (const auto& tensor : tensors) {
    TORCH_CHECK_VALUE(tensor.is_cpu() && tensor.is_contiguous(), "read_tensors: a tensor on ",
                      tensor.device(), " or not contiguous");
  }
  Queue queue(tensors, reader);
  std::vector<std::thread> threads;
  for (size_t count = thread_count(tensors); threads.size() + 1 < count;) {
    try {
      threads.emplace_back([&queue] { queue.work(); });
    } catch (const std::system_error&) {
      break;  // the system gives no more threads: the others do the work
    }
  }
  queue.work();
  for (auto& thread : threads) {
    thread.join();
  }
  queue.rethrow();
}

}  // namespace softmoe
