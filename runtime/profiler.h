#pragma once
/// Where the time of a program goes: named parts, libtorch's operators and the functions of the
/// backward pass, with the thread and the time of each.

#include <ATen/record_function.h>
#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace softmoe {

/// Marks a part of the program for its life. Costs some nanoseconds unless a Profiler records.
class ProfilePart {
 public:
  /// `make_name` returns the name; it is called only if a profiler records.
  template <typename MakeName>
  explicit ProfilePart(const MakeName& make_name) : record_(at::RecordScope::USER_SCOPE) {
    if (record_.isActive()) {
      record_.before(std::string(make_name()));
    }
  }
  explicit ProfilePart(const char* name) : ProfilePart([name] { return name; }) {}
  ProfilePart(const ProfilePart&) = delete;
  ProfilePart& operator=(const ProfilePart&) = delete;

 private:
  at::RecordFunction record_;
};

enum class ProfileKind {
  kPart,      ///< of a ProfilePart
  kOperator,  ///< of libtorch
  kBackward,  ///< a function of the backward pass
};

/// Something that ran without interruption on one thread. Events of a thread are nested.
struct ProfileEvent {
  std::string name;
  ProfileKind kind = ProfileKind::kPart;
  uint64_t thread = 0;
  int64_t begin_ns = 0;  ///< of a steady clock
  int64_t end_ns = 0;
  /// Of a part: the numbers of the backward functions that were made inside it begin here.
  int64_t sequence = 0;      ///< Of a backward function: its number; negative: it has none.
  int64_t sequence_end = 0;  ///< of a part: they end before this one
};

/// Records events of all threads for its life. There is one at a time.
class Profiler {
 public:
  /// Waits for `device` at the end of each event, so that times are those of its work.
  explicit Profiler(const torch::Device& device);
  ~Profiler();
  Profiler(const Profiler&) = delete;
  Profiler& operator=(const Profiler&) = delete;

  /// Ends the recording. Returns the events that have begun and ended in it, by thread and begin;
  /// of events that begin together, the longer one comes first.
  std::vector<ProfileEvent> stop();

 private:
  at::CallbackHandle callback_;
  bool records_ = true;
};

/// `events` in the Trace Event Format, which chrome://tracing and Perfetto show.
/// Source: Duca and Sinclair, "Trace Event Format", complete events ("ph": "X").
std::string chrome_trace(const std::vector<ProfileEvent>& events);

}  // namespace softmoe
