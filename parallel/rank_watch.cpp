#include "parallel/rank_watch.h"

#include <fmt/format.h>

#include <charconv>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <torch/csrc/distributed/c10d/Store.hpp>
#include <vector>

#include "core/error.h"

namespace softmoe {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kBeat{500};
/// Without a sign of life, once a connection has broken.
constexpr std::chrono::seconds kShortTimeout{3};
constexpr std::chrono::seconds kFarewell{5};
constexpr const char* kFailed = "failed";
constexpr const char* kBroken = "broken";
constexpr const char* kEnded = "ended";

std::string beat_key(int64_t rank) { return fmt::format("beat/{}", rank); }

}  // namespace

std::chrono::seconds rank_timeout() {
  const char* const text = std::getenv(kRankTimeout);
  if (text == nullptr) {
    return std::chrono::seconds(30);
  }
  const std::string value(text);
  int64_t seconds = 0;
  const auto* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, seconds);
  if (error != std::errc() || stop != end || seconds < 2 || seconds > 86'400) {
    throw UsageError(std::string("environment variable ") + kRankTimeout, "seconds from 2 to 86400",
                     "'" + printable_text(value) + "'");
  }
  return std::chrono::seconds(seconds);
}

/// What the thread and its owner share. The thread may outlive its owner.
struct RankWatch::State {
  WatchedRank watched;
  c10::intrusive_ptr<c10d::Store> store;
  mutable std::mutex mutex;
  std::condition_variable changed;
  std::string failure;
  Clock::time_point last_round = Clock::now();
  bool has_begun = false;
  bool is_over = false;
  bool ends = false;
  bool is_broken = false;    // a connection of this process broke
  std::string announcement;  // of this process
  bool is_announced = false;

  // Of the thread alone.
  int64_t beats = 0;
  std::vector<int64_t> others;
  std::vector<std::vector<uint8_t>> last_beats;
  std::vector<Clock::time_point> alive_at;

  void run();
  void round();
  std::string found();
  std::string silent_rank(std::chrono::seconds timeout);
  void set_failure(const std::string& text);
};

void RankWatch::State::set_failure(const std::string& text) {
  const std::lock_guard lock(mutex);
  if (failure.empty()) {
    failure = text;
  }
  changed.notify_all();
}

/// The first of the watched processes without a new sign of life for `timeout`, or "".
std::string RankWatch::State::silent_rank(std::chrono::seconds timeout) {
  std::vector<std::string> keys;
  for (const auto rank : others) {
    keys.push_back(beat_key(rank));
  }
  const auto now_beats = store->multiGet(keys);
  const auto now = Clock::now();
  for (size_t i = 0; i < others.size(); ++i) {
    if (now_beats[i] != last_beats[i]) {
      alive_at[i] = now;
    }
  }
  last_beats = now_beats;
  for (size_t i = 0; i < others.size(); ++i) {
    if (now - alive_at[i] > timeout) {
      return fmt::format("rank {} gave no sign of life for {} s", others[i], timeout.count());
    }
  }
  return "";
}

/// What is wrong, or "".
std::string RankWatch::State::found() {
  if (store->check({kFailed})) {
    const auto text = store->get(kFailed);
    return {text.begin(), text.end()};
  }
  bool broke = false;
  std::string own;
  {
    const std::lock_guard lock(mutex);
    broke = is_broken;
    own = std::exchange(announcement, {});
  }
  if (!own.empty()) {
    store->set(kFailed, own);
    return own;
  }
  if (broke) {
    store->set(kBroken, std::string("1"));
  }
  const bool is_urgent = watched.rank == 0 && store->check({kBroken});
  auto silent = silent_rank(is_urgent ? std::min(kShortTimeout, watched.timeout) : watched.timeout);
  if (!silent.empty()) {
    store->set(kFailed, silent);
  }
  return silent;
}

void RankWatch::State::round() {
  store->set(beat_key(watched.rank), std::to_string(++beats));
  if (const auto text = found(); !text.empty()) {
    set_failure(text);
    store->add(kEnded, 1);
  }
}

void RankWatch::State::run() {
  try {
    while (true) {
      round();
      std::unique_lock lock(mutex);
      last_round = Clock::now();
      is_announced = !failure.empty();
      changed.notify_all();
      changed.wait_for(lock, kBeat, [this] { return ends || !announcement.empty(); });
      if (ends || is_announced) {
        return;
      }
    }
  } catch (const std::exception&) {
    set_failure(watched.store_keeper + " ended");
  }
}

RankWatch::RankWatch(c10::intrusive_ptr<c10d::Store> store, const WatchedRank& watched)
    : state_(std::make_shared<State>()) {
  state_->watched = watched;
  state_->store = std::move(store);
  if (watched.rank == 0) {
    for (int64_t rank = 1; rank < watched.size; ++rank) {
      state_->others.push_back(rank);
    }
  } else {
    state_->others.push_back(0);
  }
  state_->last_beats.resize(state_->others.size());
  state_->alive_at.assign(state_->others.size(), Clock::now());
  state_->store->set(beat_key(watched.rank), std::string("0"));
}

void RankWatch::begin() {
  state_->alive_at.assign(state_->others.size(), Clock::now());
  state_->last_round = Clock::now();
  state_->has_begun = true;
  std::thread([state = state_] {
    state->run();
    const std::lock_guard lock(state->mutex);
    state->is_over = true;
    state->changed.notify_all();
  }).detach();
}

RankWatch::~RankWatch() {
  std::unique_lock lock(state_->mutex);
  state_->ends = true;
  state_->changed.notify_all();
  if (state_->has_begun) {
    state_->changed.wait_for(lock, 2 * kBeat, [this] { return state_->is_over; });
  }
}

std::string RankWatch::failure() const {
  const std::lock_guard lock(state_->mutex);
  if (state_->failure.empty() && state_->has_begun &&
      Clock::now() - state_->last_round > state_->watched.timeout + kBeat) {
    state_->failure = fmt::format("{} gave no sign of life for {} s", state_->watched.store_keeper,
                                  state_->watched.timeout.count());
  }
  return state_->failure;
}

std::string RankWatch::reason(const std::string& otherwise) {
  const auto end = Clock::now() + state_->watched.timeout + kShortTimeout;
  std::unique_lock lock(state_->mutex);
  state_->is_broken = true;
  state_->changed.wait_until(lock, end, [this] { return !state_->failure.empty(); });
  return state_->failure.empty() ? otherwise : state_->failure;
}

void RankWatch::announce(const std::string& error) {
  const auto end = Clock::now() + kFarewell;
  {
    std::unique_lock lock(state_->mutex);
    if (!state_->has_begun || !state_->failure.empty()) {
      return;  // the others know it already
    }
    state_->announcement = fmt::format("rank {} ended: {}", state_->watched.rank, error);
    state_->changed.notify_all();
    state_->changed.wait_until(lock, end, [this] { return state_->is_announced; });
  }
  if (!state_->watched.keeps_store) {
    return;
  }
  try {
    while (Clock::now() < end && state_->store->add(kEnded, 0) < state_->watched.size) {
      std::this_thread::sleep_for(kBeat / 10);
    }
  } catch (const std::exception&) {
    // Nobody is left to be told.
  }
}

}  // namespace softmoe
