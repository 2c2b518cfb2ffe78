#include "checkpoints/formats/read_tensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <numeric>
#include <thread>

#include "core/error.h"
#include "support/error_text.h"

namespace softmoe {
namespace {

constexpr int64_t kMebibyte = int64_t{1} << 20;

/// Bytes that stand for a file, and tensors of `sizes` that wait for them one after the other.
struct Source {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> offsets;
  std::vector<torch::Tensor> tensors;

  explicit Source(const std::vector<int64_t>& sizes) {
    int64_t total = 0;
    for (const int64_t size : sizes) {
      offsets.push_back(total);
      tensors.push_back(torch::zeros({size}, torch::kUInt8));
      total += size;
    }
    bytes.resize(static_cast<size_t>(total));
    uint32_t state = 1;
    for (auto& byte : bytes) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<uint8_t>(state >> 24);
    }
  }

  const uint8_t* at(size_t index, int64_t begin = 0) const {
    return bytes.data() + offsets[index] + begin;
  }
};

TEST(ReadTensors, FillsEachWithItsBytesAndTellsTheirChecksum) {
  // One has no bytes, others end in the middle of a piece.
  Source source({5, 0, 3 * kMebibyte + 17, 40 * kMebibyte, 1, 29 * kMebibyte - 3, 2047 * 1024});
  std::vector<uint64_t> sums(source.tensors.size(), 0);
  std::atomic<int> finished{0};
  const auto read = [&](size_t index, int64_t begin, void* data, size_t bytes) {
    std::memcpy(data, source.at(index, begin), bytes);
  };
  const auto finish = [&](size_t index, uint64_t sum) {
    sums[index] = sum;
    ++finished;
  };
  read_tensors(source.tensors, {.read = read, .finish = finish});
  EXPECT_EQ(finished, 7);
  for (size_t index = 0; index < source.tensors.size(); ++index) {
    const auto& tensor = source.tensors[index];
    if (tensor.nbytes() > 0) {
      EXPECT_EQ(std::memcmp(tensor.data_ptr(), source.at(index), tensor.nbytes()), 0) << index;
    }
    EXPECT_EQ(sums[index], XXH3_64bits(source.at(index), tensor.nbytes())) << index;
  }
}

TEST(ReadTensors, ThrowsOfSeveralFailuresAlwaysTheSame) {
  Source source({kMebibyte, 30 * kMebibyte, 20 * kMebibyte, 25 * kMebibyte});
  for (int round = 0; round < 20; ++round) {
    const auto read = [&](size_t index, int64_t begin, void* /*data*/, size_t /*bytes*/) {
      if (index != 1 && begin >= kMebibyte / 2) {
        throw InputError(fmt::format("tensor {}", index));
      }
    };
    const auto message = test::input_error(
        [&] { read_tensors(source.tensors, {.read = read, .finish = [](size_t, uint64_t) {}}); });
    EXPECT_EQ(message, "tensor 3");  // the largest of those that fail
  }
}

TEST(ReadTensors, BeginsNoMoreAfterAFailure) {
  const Source source(std::vector<int64_t>(200, kMebibyte));
  std::atomic<int> finished{0};
  const auto read = [&](size_t index, int64_t /*begin*/, void* /*data*/, size_t /*bytes*/) {
    if (index == 0) {
      throw InputError("damaged");
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  const auto finish = [&](size_t /*index*/, uint64_t /*sum*/) { ++finished; };
  EXPECT_EQ(
      test::input_error([&] { read_tensors(source.tensors, {.read = read, .finish = finish}); }),
      "damaged");
  EXPECT_LT(finished, 100);
}

TEST(ReadTensors, PassesOnWhatTheCheckOfAWholeTensorThrows) {
  const Source source({7, 11});
  const auto read = [](size_t, int64_t, void* data, size_t bytes) { std::memset(data, 1, bytes); };
  const auto finish = [](size_t index, uint64_t) {
    if (index == 0) {
      throw InputError("another checksum");
    }
  };
  EXPECT_EQ(
      test::input_error([&] { read_tensors(source.tensors, {.read = read, .finish = finish}); }),
      "another checksum");
}

}  // namespace
}  // namespace softmoe
