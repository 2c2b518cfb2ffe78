#include "tests/train/event_reader.h"

#include <stdexcept>
#include <string_view>

#include "train/crc32c.h"
#include "train/event.pb.h"

namespace softmoe::test {
namespace {

/// Takes `count` bytes off the front of `bytes`.
std::string_view take(std::string_view& bytes, uint64_t count) {
  if (count > bytes.size()) {
    throw std::runtime_error("a record is cut off");
  }
  const auto taken = bytes.substr(0, count);
  bytes.remove_prefix(count);
  return taken;
}

uint64_t take_integer(std::string_view& bytes, int size) {
  uint64_t value = 0;
  const auto taken = take(bytes, static_cast<uint64_t>(size));
  for (int i = 0; i < size; ++i) {
    value |= static_cast<uint64_t>(static_cast<unsigned char>(taken[static_cast<size_t>(i)]))
             << (8 * i);
  }
  return value;
}

void check(uint64_t stored, std::string_view bytes) {
  if (stored != masked_crc32c(bytes)) {
    throw std::runtime_error("a checksum is wrong");
  }
}

ReadEvent to_read_event(const proto::Event& event) {
  ReadEvent read{.wall_time = event.wall_time(),
                 .step = event.step(),
                 .file_version = event.file_version(),
                 .starts_sitting = event.session_log().status() == proto::SessionLog::START};
  if (event.summary().value_size() > 0) {
    const auto& value = event.summary().value(0);
    read.tag = value.tag();
    if (value.value_case() == proto::Summary::Value::kSimpleValue) {
      read.scalar = value.simple_value();
    }
    read.plugin = value.metadata().plugin().name();
    read.texts.assign(value.tensor().strings().begin(), value.tensor().strings().end());
  }
  return read;
}

}  // namespace

std::vector<ReadEvent> read_events(const std::string& bytes) {
  std::vector<ReadEvent> events;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const auto length_bytes = rest.substr(0, 8);
    const auto length = take_integer(rest, 8);
    check(take_integer(rest, 4), length_bytes);
    const auto payload = take(rest, length);
    check(take_integer(rest, 4), payload);
    proto::Event event;
    if (!event.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
      throw std::runtime_error("a record is no event");
    }
    events.push_back(to_read_event(event));
  }
  return events;
}

}  // namespace softmoe::test
