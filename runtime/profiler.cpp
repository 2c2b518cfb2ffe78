#include "runtime/profiler.h"

#include <ATen/SequenceNumber.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <tuple>
#include <utility>

#include "core/json_text.h"
#include "runtime/device.h"

namespace softmoe {
namespace {

/// The recording under way. libtorch's callbacks are plain functions.
struct Recording {
  std::mutex mutex;
  std::optional<torch::Device> device;  // std::nullopt: none is under way
  std::vector<ProfileEvent> events;
};

Recording& recording() {
  static Recording instance;
  return instance;
}

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

int64_t next_sequence() { return static_cast<int64_t>(at::sequence_number::peek()); }

ProfileKind kind_of(at::RecordScope scope) {
  switch (scope) {
    case at::RecordScope::USER_SCOPE:
      return ProfileKind::kPart;
    case at::RecordScope::BACKWARD_FUNCTION:
      return ProfileKind::kBackward;
    default:
      return ProfileKind::kOperator;
  }
}

struct Begun : at::ObserverContext {
  int64_t begin_ns = 0;
  int64_t sequence = 0;
};

std::unique_ptr<at::ObserverContext> begin_event(const at::RecordFunction& function) {
  auto begun = std::make_unique<Begun>();
  begun->sequence = kind_of(function.scope()) == ProfileKind::kPart
                        ? next_sequence()
                        : static_cast<int64_t>(function.seqNr());
  begun->begin_ns = now_ns();
  return begun;
}

void end_event(const at::RecordFunction& function, at::ObserverContext* context) {
  auto& target = recording();
  const auto device = [&] {
    const std::scoped_lock lock(target.mutex);
    return target.device;
  }();
  if (!device || context == nullptr) {
    return;
  }
  synchronize(*device);
  const auto& begun = static_cast<const Begun&>(*context);
  ProfileEvent event{.name = function.name(),
                     .kind = kind_of(function.scope()),
                     .thread = at::RecordFunction::currentThreadId(),
                     .begin_ns = begun.begin_ns,
                     .end_ns = now_ns(),
                     .sequence = begun.sequence,
                     .sequence_end = next_sequence()};
  const std::scoped_lock lock(target.mutex);
  target.events.push_back(std::move(event));
}

const char* category(ProfileKind kind) {
  switch (kind) {
    case ProfileKind::kPart:
      return "part";
    case ProfileKind::kBackward:
      return "backward";
    default:
      return "operator";
  }
}

}  // namespace

Profiler::Profiler(const torch::Device& device) {
  auto& target = recording();
  {
    const std::scoped_lock lock(target.mutex);
    TORCH_CHECK_VALUE(!target.device, "Profiler: another one records already");
    target.device = device;
    target.events.clear();
  }
  callback_ = at::addGlobalCallback(
      at::RecordFunctionCallback(begin_event, end_event)
          .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION,
                   at::RecordScope::USER_SCOPE}));
}

Profiler::~Profiler() { stop(); }

std::vector<ProfileEvent> Profiler::stop() {
  if (!std::exchange(records_, false)) {
    return {};
  }
  at::removeCallback(callback_);
  auto& target = recording();
  std::vector<ProfileEvent> events;
  {
    const std::scoped_lock lock(target.mutex);
    target.device.reset();
    events.swap(target.events);
  }
  std::ranges::sort(events, [](const ProfileEvent& a, const ProfileEvent& b) {
    return std::tuple(a.thread, a.begin_ns, -a.end_ns) <
           std::tuple(b.thread, b.begin_ns, -b.end_ns);
  });
  return events;
}

std::string chrome_trace(const std::vector<ProfileEvent>& events) {
  int64_t first = events.empty() ? 0 : events.front().begin_ns;
  for (const auto& event : events) {
    first = std::min(first, event.begin_ns);
  }
  const auto microseconds = [](int64_t ns) { return static_cast<double>(ns) / 1e3; };
  Json list = Json::array();
  for (const auto& event : events) {
    list.push_back({{"name", valid_utf8(event.name)},
                    {"cat", category(event.kind)},
                    {"ph", "X"},
                    {"ts", microseconds(event.begin_ns - first)},
                    {"dur", microseconds(event.end_ns - event.begin_ns)},
                    {"pid", 1},
                    {"tid", event.thread}});
  }
  return json_text({{"traceEvents", std::move(list)}, {"displayTimeUnit", "ms"}});
}

}  // namespace softmoe
