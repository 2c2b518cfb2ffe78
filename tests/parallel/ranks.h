#pragma once
/// Several processes of a world, as threads of the test.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include "parallel/world.h"

namespace softmoe::test {

/// A port of the loopback device that nobody uses now.
inline int64_t free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener, plain, size), 0);
  EXPECT_EQ(::getsockname(listener, plain, &size), 0);
  ::close(listener);
  return ntohs(address.sin_port);
}

/// Runs `work` as each of `size` ranks. Returns what each of them threw; "" for those that did not.
inline std::vector<std::string> run_ranks(int64_t size,
                                          const std::function<void(const World&)>& work) {
  const int64_t port = free_port();
  std::vector<std::string> errors(static_cast<size_t>(size));
  std::vector<std::thread> threads;
  for (int64_t rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        const auto world = World::join({.rank = rank,
                                        .size = size,
                                        .local_rank = rank,
                                        .local_size = size,
                                        .address = "127.0.0.1",
                                        .port = port},
                                       torch::kCPU);
        work(world);
        world.close();
      } catch (const std::exception& error) {
        errors[static_cast<size_t>(rank)] = error.what();
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  return errors;
}

/// What ranks throw that all end well.
inline std::vector<std::string> no_errors(int64_t size) {
  return std::vector<std::string>(static_cast<size_t>(size));
}

}  // namespace softmoe::test
