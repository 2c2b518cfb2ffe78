#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace softmoe::test {

/// One event of a TensorBoard file; members that it does not have stay empty.
struct ReadEvent {
  double wall_time = 0.0;
  int64_t step = 0;
  std::string file_version = {};
  bool starts_sitting = false;
  std::string tag = {};
  std::optional<float> scalar = {};
  std::string plugin = {};
  std::vector<std::string> texts = {};
};

/// The events in the bytes of a file; throws std::runtime_error if a frame, a checksum or an event
/// is bad.
std::vector<ReadEvent> read_events(const std::string& bytes);

}  // namespace softmoe::test
