#include "parallel/world.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <numeric>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>

#include "core/error.h"
#include "parallel/meeting.h"
#include "parallel/rank_watch.h"

namespace softmoe {
namespace {

using Work = c10::intrusive_ptr<c10d::Work>;

/// A slow process is none that has ended: RankWatch tells the two apart, no timeout does.
constexpr std::chrono::hours kNoTimeout{24 * 365};
constexpr std::chrono::milliseconds kLook{500};
/// Bytes that are broadcast at once.
constexpr int64_t kChunk = 64 << 20;

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

/// What a world and its groups have in common.
struct World::Connection {
  WorldEnvironment environment;
  MeetingStore store;
  std::unique_ptr<RankWatch> watch;
  std::atomic<int64_t> exchanged{0};
  std::atomic<int64_t> summed{0};
  int64_t groups = 0;  // made so far
  bool is_closed = false;
};

struct World::Impl {
  std::shared_ptr<Connection> connection;
  int64_t rank = 0;
  int64_t size = 1;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group;

  /// Connects the process `rank` of `size`, which meet under `name`.
  Impl(std::shared_ptr<Connection> connected, const std::string& name, int64_t own_rank,
       int64_t all)
      : connection(std::move(connected)), rank(own_rank), size(all) {
    try {
      group = c10::make_intrusive<c10d::ProcessGroupGloo>(
          c10::make_intrusive<c10d::PrefixStore>(name, connection->store), static_cast<int>(rank),
          static_cast<int>(size), gloo_options(connection->environment));
    } catch (const std::exception& error) {
      const auto failure = connection->watch->failure();
      throw InputError(!failure.empty()
                           ? failure
                           : "cannot connect the processes: " + single_line(error.what()) +
                                 "; GLOO_SOCKET_IFNAME names the network card to use");
    }
    group->setTimeout(std::chrono::milliseconds(kNoTimeout));
  }
  ~Impl() {
    if (!connection->is_closed) {
      // Its destructor would wait for processes that may be gone.
      (void)group.release();
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Waits for `work`, or throws if it cannot be done any more.
  void finish(const Work& work) const {
    auto& watch = *connection->watch;
    while (true) {
      try {
        work->wait(kLook);
        return;
      } catch (const std::exception& error) {
        if (work->isCompleted()) {
          throw InputError(
              watch.reason("a connection between processes broke: " + single_line(error.what())));
        }
      }
      if (const auto failure = watch.failure(); !failure.empty()) {
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
  auto connection = std::make_shared<Connection>();
  connection->environment = environment;
  connection->store = store;
  connection->watch = std::make_unique<RankWatch>(
      store->clone(),
      WatchedRank{.rank = environment.rank,
                  .size = environment.size,
                  .keeps_store = is_keeper,
                  .store_keeper = environment.store_is_there ? "the launcher" : "rank 0",
                  .timeout = timeout});
  check_in(store, environment);
  connection->watch->begin();
  world.impl_ =
      std::make_shared<Impl>(std::move(connection), "gloo", environment.rank, environment.size);
  return world;
}

World World::group(const std::vector<int64_t>& ranks) const {
  const auto own = std::find(ranks.begin(), ranks.end(), rank());
  TORCH_CHECK_VALUE(own != ranks.end(), "World: rank ", rank(), " makes a group of others");
  World group;
  if (ranks.size() == 1) {
    if (!is_alone()) {
      ++impl_->connection->groups;
    }
    return group;
  }
  const auto name = fmt::format("group/{}/{}", impl_->connection->groups++, ranks.front());
  group.impl_ = std::make_shared<Impl>(impl_->connection, name, own - ranks.begin(),
                                       static_cast<int64_t>(ranks.size()));
  return group;
}

int64_t World::rank() const { return impl_ ? impl_->rank : 0; }
int64_t World::size() const { return impl_ ? impl_->size : 1; }

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
    impl_->connection->summed += 2 * (size() - 1) * static_cast<int64_t>(tensor.nbytes()) / size();
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

torch::Tensor World::exchange(const torch::Tensor& rows, const std::vector<int64_t>& send,
                              const std::vector<int64_t>& receive) const {
  TORCH_CHECK_VALUE(std::ssize(send) == size() && std::ssize(receive) == size(),
                    "World: an exchange of ", size(), " ranks with ", send.size(), " and ",
                    receive.size(), " counts");
  if (is_alone()) {
    return rows;
  }
  const auto plain = rows.detach();
  auto shape = plain.sizes().vec();
  shape[0] = std::accumulate(receive.begin(), receive.end(), int64_t{0});
  const auto received = at::empty(shape, plain.options());
  // As bytes, since Gloo does not know all dtypes.
  const auto bytes = [](const torch::Tensor& tensor) {
    const auto width = tensor.numel() / std::max<int64_t>(1, tensor.size(0));
    return tensor.reshape({tensor.size(0), width}).view(torch::kUInt8);  // [rows, bytes]
  };
  const int64_t row_bytes = plain.element_size() * std::accumulate(shape.begin() + 1, shape.end(),
                                                                   int64_t{1}, std::multiplies<>());
  auto out = at::empty({0, row_bytes}, torch::kUInt8);
  auto in = out;
  if (received.numel() > 0) {
    out = bytes(received);
  }
  if (plain.numel() > 0) {
    in = bytes(plain);
  }
  auto receive_rows = receive;
  auto send_rows = send;
  impl_->finish(impl_->group->alltoall_base(out, in, receive_rows, send_rows));
  const auto sent = std::accumulate(send.begin(), send.end(), int64_t{0});
  impl_->connection->exchanged += (sent - send[static_cast<size_t>(rank())]) * row_bytes;
  return received;
}

World::Traffic World::traffic() const {
  return is_alone() ? Traffic()
                    : Traffic{.exchanged = impl_->connection->exchanged,
                              .summed = impl_->connection->summed};
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
    impl_->connection->watch->announce(error);
  }
}

void World::close() const {
  if (is_alone()) {
    return;
  }
  try {
    any(false);
    impl_->connection->is_closed = true;
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
