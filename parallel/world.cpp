#include "parallel/world.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "core/error.h"
#include "core/version.h"
#include "parallel/rank_watch.h"

namespace softmoe {
namespace {

using Store = c10::intrusive_ptr<c10d::Store>;
using Work = c10::intrusive_ptr<c10d::Work>;

constexpr std::chrono::minutes kMeetingTime{5};
/// A slow process is none that has ended: RankWatch tells the two apart, no timeout does.
constexpr std::chrono::hours kNoTimeout{24 * 365};
constexpr std::chrono::milliseconds kLook{500};
/// Bytes that are broadcast at once.
constexpr int64_t kChunk = 64 << 20;

Store meeting_store(const WorldEnvironment& environment, bool is_keeper) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(environment.port);
  options.isServer = is_keeper;
  options.waitWorkers = false;
  options.timeout = kMeetingTime;
  try {
    const auto store = c10::make_intrusive<c10d::TCPStore>(environment.address, options);
    return c10::make_intrusive<c10d::PrefixStore>(fmt::format("softmoe/{}", environment.restarts),
                                                  store);
  } catch (const std::exception& error) {
    const auto place = fmt::format("{}:{}", environment.address, environment.port);
    throw InputError(is_keeper
                         ? fmt::format("cannot listen on {}: {}", place, single_line(error.what()))
                         : fmt::format("cannot reach {} at {} within {} s",
                                       environment.store_is_there ? "the launcher" : "rank 0",
                                       place, std::chrono::seconds(kMeetingTime).count()));
  }
}

/// Waits until all processes are there. Throws InputError that names those that are not, or that
/// run another version.
void check_in(const Store& store, const WorldEnvironment& environment) {
  const auto key = [](int64_t rank) { return fmt::format("here/{}", rank); };
  store->set(key(environment.rank), std::string(kVersion));
  std::vector<std::string> keys;
  for (int64_t rank = 0; rank < environment.size; ++rank) {
    keys.push_back(key(rank));
  }
  try {
    store->wait(keys, kMeetingTime);
  } catch (const std::exception&) {
    std::vector<int64_t> missing;
    for (int64_t rank = 0; rank < environment.size; ++rank) {
      if (!store->check({key(rank)})) {
        missing.push_back(rank);
      }
    }
    throw InputError(fmt::format("processes of the run: rank {} did not come within {} s",
                                 fmt::join(missing, ", "),
                                 std::chrono::seconds(kMeetingTime).count()));
  }
  const auto versions = store->multiGet(keys);
  for (size_t rank = 1; rank < versions.size(); ++rank) {
    if (versions[rank] != versions[0]) {
      throw InputError(fmt::format("rank {}: expected softmoe {} as on rank 0, found {}", rank,
                                   std::string(versions[0].begin(), versions[0].end()),
                                   std::string(versions[rank].begin(), versions[rank].end())));
    }
  }
}

/// The network by which Gloo connects the processes.
c10::intrusive_ptr<c10d::ProcessGroupGloo::Options> gloo_options(
    const WorldEnvironment& environment) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(kMeetingTime);
  const auto cards = environment_variable("GLOO_SOCKET_IFNAME").value_or("");
  if (!cards.empty()) {
    for (size_t begin = 0; begin <= cards.size();) {
      const auto end = std::min(cards.find(',', begin), cards.size());
      options->devices.push_back(Gloo::createDeviceForInterface(cards.substr(begin, end - begin)));
      begin = end + 1;
    }
  } else if (environment.local_size == environment.size) {
    options->devices.push_back(Gloo::createDeviceForHostname("127.0.0.1"));
  } else {
    options->devices.push_back(Gloo::createDefaultDevice());
  }
  return options;
}

/// `text` as bytes [length].
torch::Tensor text_tensor(const std::string& text) {
  auto bytes = at::empty({std::ssize(text)}, torch::kUInt8);
  std::memcpy(bytes.mutable_data_ptr<uint8_t>(), text.data(), text.size());
  return bytes;
}

std::string tensor_text(const torch::Tensor& bytes) {
  const auto plain = bytes.contiguous();
  return {reinterpret_cast<const char*>(plain.const_data_ptr<uint8_t>()),
          static_cast<size_t>(plain.numel())};
}

}  // namespace

struct World::Impl {
  WorldEnvironment environment;
  std::unique_ptr<RankWatch> watch;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;
  bool is_closed = false;

  ~Impl() {
    if (!is_closed) {
      // Its destructor would wait for processes that may be gone.
      (void)group.release();
    }
  }

  /// Waits for `work`, or throws if it cannot be done any more.
  void finish(const Work& work) const {
    while (true) {
      try {
        work->wait(kLook);
        return;
      } catch (const std::exception& error) {
        if (work->isCompleted()) {
          throw InputError(
              watch->reason("a connection between processes broke: " + single_line(error.what())));
        }
      }
      if (const auto failure = watch->failure(); !failure.empty()) {
        throw InputError(failure);
      }
    }
  }
};

struct World::Pending::State {
  std::shared_ptr<Impl> impl;
  torch::Tensor tensor;  // in use by the work
  Work work;
};

World World::join(const WorldEnvironment& environment, const torch::Device& device) {
  World world;
  if (environment.is_alone()) {
    return world;
  }
  if (!device.is_cpu()) {
    throw UsageError("--device", "cpu with more than one process", device.str());
  }
  const auto timeout = rank_timeout();
  const bool is_keeper = environment.rank == 0 && !environment.store_is_there;
  const auto store = meeting_store(environment, is_keeper);
  auto impl = std::make_shared<Impl>();
  impl->environment = environment;
  impl->watch = std::make_unique<RankWatch>(
      store->clone(),
      WatchedRank{.rank = environment.rank,
                  .size = environment.size,
                  .keeps_store = is_keeper,
                  .store_keeper = environment.store_is_there ? "the launcher" : "rank 0",
                  .timeout = timeout});
  check_in(store, environment);
  impl->watch->begin();
  try {
    impl->group = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>("gloo", store), static_cast<int>(environment.rank),
        static_cast<int>(environment.size), gloo_options(environment));
  } catch (const std::exception& error) {
    const auto failure = impl->watch->failure();
    throw InputError(!failure.empty()
                         ? failure
                         : "cannot connect the processes: " + single_line(error.what()) +
                               "; GLOO_SOCKET_IFNAME names the network card to use");
  }
  impl->group->setTimeout(std::chrono::milliseconds(kNoTimeout));
  world.impl_ = std::move(impl);
  return world;
}

int64_t World::rank() const { return impl_ ? impl_->environment.rank : 0; }
int64_t World::size() const { return impl_ ? impl_->environment.size : 1; }

void World::broadcast(const std::vector<torch::Tensor>& tensors) const {
  if (is_alone()) {
    return;
  }
  const torch::NoGradGuard no_grad;
  size_t first = 0;
  while (first < tensors.size()) {
    // Tensors of one dtype travel together, since many are small.
    std::vector<torch::Tensor> parts;
    int64_t bytes = 0;
    size_t end = first;
    while (end < tensors.size() && tensors[end].scalar_type() == tensors[first].scalar_type() &&
           (end == first || bytes < kChunk)) {
      parts.push_back(tensors[end].detach().reshape({-1}));
      bytes += static_cast<int64_t>(tensors[end].nbytes());
      ++end;
    }
    std::vector<torch::Tensor> joined{at::cat(parts)};
    impl_->finish(impl_->group->broadcast(joined));
    int64_t place = 0;
    for (; first < end; ++first) {
      auto tensor = tensors[first].detach();
      tensor.copy_(joined[0].narrow(0, place, tensor.numel()).view(tensor.sizes()));
      place += tensor.numel();
    }
  }
}

void World::sum(const torch::Tensor& tensor) const { begin_sum(tensor).finish(); }

World::Pending World::begin_sum(const torch::Tensor& tensor) const {
  Pending pending;
  if (!is_alone()) {
    std::vector<torch::Tensor> tensors{tensor};
    auto work = impl_->group->allreduce(tensors);
    pending.state_ = std::make_unique<Pending::State>(impl_, tensor, std::move(work));
  }
  return pending;
}

torch::Tensor World::gather(const torch::Tensor& tensor) const {
  if (is_alone()) {
    return tensor;
  }
  auto rows = at::zeros({size()}, torch::kInt64);
  rows[rank()].fill_(tensor.size(0));
  sum(rows);
  const int64_t max_rows = rows.max().item<int64_t>();
  auto shape = tensor.sizes().vec();
  shape[0] = max_rows;
  auto own = at::zeros(shape, tensor.options());
  own.narrow(0, 0, tensor.size(0)).copy_(tensor);
  std::vector<torch::Tensor> inputs{own};
  std::vector<std::vector<torch::Tensor>> outputs(1);
  for (int64_t other = 0; other < size(); ++other) {
    outputs[0].push_back(at::empty(shape, tensor.options()));
  }
  impl_->finish(impl_->group->allgather(outputs, inputs));
  for (int64_t other = 0; other < size(); ++other) {
    auto& part = outputs[0][static_cast<size_t>(other)];
    part = part.narrow(0, 0, rows[other].item<int64_t>());
  }
  return at::cat(outputs[0]);
}

std::vector<std::string> World::gather_texts(const std::string& text) const {
  if (is_alone()) {
    return {text};
  }
  auto lengths = at::zeros({size()}, torch::kInt64);
  lengths[rank()].fill_(std::ssize(text));
  sum(lengths);
  const auto all = gather(text_tensor(text));
  std::vector<std::string> texts;
  int64_t place = 0;
  for (int64_t other = 0; other < size(); ++other) {
    const auto length = lengths[other].item<int64_t>();
    texts.push_back(tensor_text(all.narrow(0, place, length)));
    place += length;
  }
  return texts;
}

std::string World::text_of_first(const std::string& text) const {
  if (is_alone()) {
    return text;
  }
  const auto length = at::scalar_tensor(std::ssize(text), torch::kInt64);
  broadcast({length});
  auto bytes = is_first() ? text_tensor(text) : at::empty({length.item<int64_t>()}, torch::kUInt8);
  broadcast({bytes});
  return tensor_text(bytes);
}

double World::number_of_first(double number) const {
  if (is_alone()) {
    return number;
  }
  const auto value = at::scalar_tensor(number, torch::kFloat64);
  broadcast({value});
  return value.item<double>();
}

bool World::any(bool flag) const {
  if (is_alone()) {
    return flag;
  }
  const auto count = at::scalar_tensor(flag ? 1 : 0, torch::kInt64);
  sum(count);
  return count.item<int64_t>() > 0;
}

void World::announce(const std::string& error) const {
  if (!is_alone()) {
    impl_->watch->announce(error);
  }
}

void World::close() const {
  if (is_alone()) {
    return;
  }
  try {
    any(false);
    impl_->is_closed = true;
  } catch (const InputError&) {
    // The work is done; a process that ended before it said so takes nothing away.
  }
}

World::Pending::Pending() = default;
World::Pending::Pending(Pending&&) noexcept = default;
World::Pending& World::Pending::operator=(Pending&&) noexcept = default;
World::Pending::~Pending() = default;

void World::Pending::finish() {
  if (state_) {
    const auto state = std::move(state_);
    state->impl->finish(state->work);
  }
}

}  // namespace softmoe
