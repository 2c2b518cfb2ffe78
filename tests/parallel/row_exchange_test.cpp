#include "parallel/row_exchange.h"

#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <string>

#include "parallel/ranks.h"
#include "support/tensor_matcher.h"

namespace softmoe::test {
namespace {

/// Rank r sends r + s rows to rank s; nothing between ranks 0 and 0.
RowCounts counts_of(const World& world) {
  RowCounts counts;
  for (int64_t other = 0; other < world.size(); ++other) {
    counts.send.push_back(world.rank() + other);
    counts.receive.push_back(world.rank() + other);
  }
  return counts;
}

TEST(RowExchange, BringsRowsToTheirRanksAndGradientsBack) {
  const auto errors = run_ranks(3, [](const World& world) {
    const auto counts = counts_of(world);
    const auto rank = static_cast<double>(world.rank());
    std::vector<torch::Tensor> parts;
    std::vector<torch::Tensor> expected;
    std::vector<torch::Tensor> gradients;
    for (int64_t other = 0; other < world.size(); ++other) {
      const auto sender = static_cast<double>(other);
      const auto rows = counts.send[static_cast<size_t>(other)];
      parts.push_back(torch::full({rows, 2}, 10 * rank + sender));
      expected.push_back(torch::full({rows, 2}, 10 * sender + rank));
      gradients.push_back(torch::full({rows, 2}, sender + 1));
    }
    const auto rows = torch::cat(parts).requires_grad_();
    const auto received = exchange_rows(world, rows, counts);
    EXPECT_TRUE(torch::equal(received, torch::cat(expected)));
    // Each rank weighs what it got by its number.
    (received * (rank + 1)).sum().backward();
    EXPECT_TRUE(torch::equal(rows.grad(), torch::cat(gradients)));
  });
  EXPECT_EQ(errors, no_errors(3));
}

TEST(RowExchange, OfNoRowsAtAllHasGradients) {
  const auto errors = run_ranks(2, [](const World& world) {
    const bool sends = world.rank() == 1;
    const RowCounts counts{.send = {sends ? 3 : 0, 0}, .receive = {0, sends ? 0 : 3}};
    const auto rows = torch::ones({sends ? 3 : 0, 4}).requires_grad_();
    const auto received = exchange_rows(world, rows, counts);
    EXPECT_EQ(received.size(0), sends ? 0 : 3);
    received.sum().backward();
    EXPECT_TRUE(torch::equal(rows.grad(), torch::ones_like(rows)));
  });
  EXPECT_EQ(errors, no_errors(2));
}

TEST(RowExchange, CanTravelInBf16) {
  const auto errors = run_ranks(2, [](const World& world) {
    const auto rows = torch::full({2, 3}, 1.0 / 3.0).requires_grad_();
    const auto received =
        exchange_rows(world, rows, {.send = {1, 1}, .receive = {1, 1}}, torch::kBFloat16);
    EXPECT_TRUE(torch::equal(received, rows.detach().to(torch::kBFloat16).to(torch::kFloat32)));
    (received / 3.0).sum().backward();
    EXPECT_TRUE(torch::equal(rows.grad(), received.detach()));
  });
  EXPECT_EQ(errors, no_errors(2));
}

TEST(RowExchange, OfOneProcessGivesBackWhatItGets) {
  const auto rows = torch::ones({2, 3});
  EXPECT_TRUE(exchange_rows(World(), rows, {.send = {2}, .receive = {2}}).is_same(rows));
}

/// The bytes that all sockets of this process have sent, as the kernel counts them.
int64_t bytes_sent() {
  int64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    tcp_info info{};
    socklen_t size = sizeof(info);
    const int file = std::stoi(entry.path().filename().string());
    if (::getsockopt(file, IPPROTO_TCP, TCP_INFO, &info, &size) == 0) {
      bytes += static_cast<int64_t>(info.tcpi_bytes_sent);
    }
  }
  return bytes;
}

TEST(RowExchange, CountsTheBytesThatTheKernelCounts) {
  constexpr int64_t kRows = 1000;
  constexpr int64_t kWidth = 500;
  const auto errors = run_ranks(2, [&](const World& world) {
    const auto rows = torch::ones({2 * kRows, kWidth});
    const auto sum = torch::ones({kRows, kWidth});
    world.any(false);
    const auto before = bytes_sent();
    world.any(false);
    world.exchange(rows, {kRows, kRows}, {kRows, kRows});
    world.sum(sum);
    world.any(false);
    const auto counted = world.traffic();
    EXPECT_EQ(counted.exchanged, kRows * kWidth * 4);
    const auto sent = static_cast<double>(bytes_sent() - before);
    world.any(false);
    // Both ranks are threads of this process.
    const auto all = 2.0 * static_cast<double>(counted.exchanged + counted.summed);
    EXPECT_GE(sent, 0.999 * all);
    EXPECT_LE(sent, 1.01 * all);
  });
  EXPECT_EQ(errors, no_errors(2));
}

}  // namespace
}  // namespace softmoe::test
