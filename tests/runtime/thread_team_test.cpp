#include "runtime/thread_team.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "runtime/machine.h"

namespace softmoe {
namespace {

/// With this many threads, whatever the number of cores.
class ThreadTeamTest : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { set_compute_threads(GetParam()); }
  void TearDown() override { set_compute_threads(0); }

  static size_t size() { return static_cast<size_t>(GetParam()); }
};

TEST(TeamShare, CoversEveryIndexOnceInMultiples) {
  for (int64_t size = 1; size <= 9; ++size) {
    for (const int64_t total : {0, 1, 7, 64, 1000}) {
      for (const int64_t multiple : {1, 8, 32}) {
        int64_t end = 0;
        for (int64_t rank = 0; rank < size; ++rank) {
          const auto share = ThreadTeam{.rank = rank, .size = size}.share(total, multiple);
          ASSERT_EQ(share.first, end) << rank << " of " << size;
          ASSERT_LE(share.first, share.last);
          ASSERT_TRUE(share.first % multiple == 0 || share.first == total);
          // Shares are as equal as whole multiples can be.
          const int64_t units = (total + multiple - 1) / multiple;
          ASSERT_LE(share.last - share.first, (units + size - 1) / size * multiple);
          end = share.last;
        }
        ASSERT_EQ(end, total) << size << " threads, multiples of " << multiple;
      }
    }
  }
}

TEST_P(ThreadTeamTest, RunsTheFunctionOnceOnEveryThread) {
  std::vector<int> calls(size());
  std::vector<std::thread::id> threads(size());
  run_team([&](const ThreadTeam& team) {
    ASSERT_EQ(team.size, GetParam());
    const auto rank = static_cast<size_t>(team.rank);
    ++calls[rank];
    threads[rank] = std::this_thread::get_id();
  });
  EXPECT_EQ(calls, std::vector<int>(size(), 1));
  EXPECT_EQ(threads[0], std::this_thread::get_id());
  for (size_t rank = 1; rank < size(); ++rank) {
    EXPECT_NE(threads[rank], threads[rank - 1]);
  }
}

/// The values are plain memory, so that a thread sanitizer sees a barrier that orders nothing.
TEST_P(ThreadTeamTest, BarriersOrderTheirPhases) {
  constexpr int kPhases = 300;
  std::vector<int> phase_of(size(), -1);
  std::atomic<int> wrong = 0;
  run_team([&](const ThreadTeam& team) {
    for (int phase = 0; phase < kPhases; ++phase) {
      phase_of[static_cast<size_t>(team.rank)] = phase;
      team.barrier();
      for (const int other : phase_of) {
        wrong += other != phase ? 1 : 0;
      }
      team.barrier();
    }
  });
  EXPECT_EQ(wrong, 0);
}

TEST_P(ThreadTeamTest, ResultsAreThereWhenManyShortTeamsEnd) {
  std::vector<int64_t> sums(size());
  for (int64_t round = 0; round < 2000; ++round) {
    run_team([&](const ThreadTeam& team) { sums[static_cast<size_t>(team.rank)] += round; });
    ASSERT_EQ(sums.front(), sums.back());
  }
  EXPECT_EQ(sums, std::vector<int64_t>(size(), 2000 * 1999 / 2));
}

TEST_P(ThreadTeamTest, TeamsWithinATeamRunAlone) {
  std::atomic<int64_t> calls = 0;
  std::atomic<int64_t> largest = 0;
  run_team([&](const ThreadTeam& outer) {
    run_team([&](const ThreadTeam& inner) {
      ++calls;
      largest = std::max<int64_t>(largest, inner.size);
      inner.barrier();  // of one thread: returns at once
    });
    outer.barrier();
  });
  EXPECT_EQ(calls, GetParam());
  EXPECT_EQ(largest, 1);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ThreadTeamTest, testing::Values(1, 2, 3, 5),
                         [](const auto& size) { return std::to_string(size.param) + "Threads"; });

TEST(ThreadTeams, OfChangingSizesEachHaveTheirOwn) {
  for (int round = 0; round < 100; ++round) {
    for (const int64_t size : {4, 2, 5, 3, 1, 2}) {
      set_compute_threads(size);
      std::vector<int> calls(5);
      run_team([&](const ThreadTeam& team) {
        ++calls[static_cast<size_t>(team.rank)];
        team.barrier();
      });
      ASSERT_EQ(std::accumulate(calls.begin(), calls.end(), 0), size);
    }
  }
  set_compute_threads(0);
}

TEST(ThreadTeams, OfSeveralCallersDoTheWholeWorkOfEach) {
  constexpr int64_t kTotal = 1000;
  std::array<int64_t, 3> wrong{};
  std::vector<std::thread> callers;
  for (auto& own_wrong : wrong) {
    callers.emplace_back([&own_wrong] {
      set_compute_threads(2);
      for (int round = 0; round < 300; ++round) {
        std::vector<int> visits(kTotal);
        run_team([&](const ThreadTeam& team) {
          const auto share = team.share(kTotal);
          for (int64_t index = share.first; index < share.last; ++index) {
            ++visits[static_cast<size_t>(index)];
          }
        });
        own_wrong += visits == std::vector<int>(kTotal, 1) ? 0 : 1;
      }
    });
  }
  for (auto& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(wrong, (std::array<int64_t, 3>{}));
}

}  // namespace
}  // namespace softmoe
