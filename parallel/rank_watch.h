#pragma once
/// Notices that another process of a run ended or stopped, and says which one.

#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace c10d {
class Store;
}

namespace softmoe {

/// The environment variable with the seconds after which a process that gives no sign of life ends
/// the others.
inline constexpr const char* kRankTimeout = "SOFTMOE_RANK_TIMEOUT";

/// The value of kRankTimeout, 30 s by default. Throws UsageError unless it is a number from 2 to
/// 86400.
std::chrono::seconds rank_timeout();

/// Which process it watches for.
struct WatchedRank {
  int64_t rank = 0;
  int64_t size = 1;
  bool keeps_store = false;             ///< this process keeps the store
  std::string store_keeper = "rank 0";  ///< who keeps it, for messages
  std::chrono::seconds timeout{30};     ///< without a sign of life
};

/// A thread that writes a sign of life to the store every half second and reads those of others:
/// rank 0 looks at all, the others at rank 0. What it finds reaches all processes by the store.
class RankWatch {
 public:
  /// `store` is a connection that nobody else uses. All processes must have made a RankWatch before
  /// begin().
  RankWatch(c10::intrusive_ptr<c10d::Store> store, const WatchedRank& watched);
  /// Ends the thread; leaves it alone if the store does not answer for a second.
  ~RankWatch();
  RankWatch(const RankWatch&) = delete;
  RankWatch& operator=(const RankWatch&) = delete;

  void begin();

  /// Why the run cannot go on: "rank 2 ended: disk full"; empty if it can.
  std::string failure() const;
  /// Waits, at most for the timeout, until it is known why a connection broke; `otherwise` if that
  /// does not become known.
  std::string reason(const std::string& otherwise);
  /// Tells the other processes that this one ends because of `error`. The process that keeps the
  /// store then waits up to 5 s until they know it.
  void announce(const std::string& error);

 private:
  struct State;

  std::shared_ptr<State> state_;
};

}  // namespace softmoe
