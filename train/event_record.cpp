#include "train/event_record.h"

#include <string_view>

#include "train/crc32c.h"
#include "train/event.pb.h"

namespace softmoe {
namespace {

template <typename Integer>
std::string little_endian(Integer value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    bytes.push_back(static_cast<char>(static_cast<uint8_t>(value >> (8 * i))));
  }
  return bytes;
}

std::string framed(const proto::Event& event) {
  const auto payload = event.SerializeAsString();
  const auto length = little_endian<uint64_t>(payload.size());
  return length + little_endian(masked_crc32c(length)) + payload +
         little_endian(masked_crc32c(payload));
}

proto::Event event_at(const EventTime& time) {
  proto::Event event;
  event.set_wall_time(time.wall_time);
  event.set_step(time.step);
  return event;
}

}  // namespace

std::string version_record(double wall_time) {
  auto event = event_at({.wall_time = wall_time});
  event.set_file_version("brain.Event:2");
  return framed(event);
}

std::string sitting_record(const EventTime& time) {
  auto event = event_at(time);
  event.mutable_session_log()->set_status(proto::SessionLog::START);
  return framed(event);
}

std::string scalar_record(const EventTime& time, const std::string& tag, double value) {
  auto event = event_at(time);
  auto& entry = *event.mutable_summary()->add_value();
  entry.set_tag(tag);
  entry.set_simple_value(static_cast<float>(value));
  return framed(event);
}

std::string text_record(const EventTime& time, const std::string& tag, const std::string& text) {
  auto event = event_at(time);
  auto& entry = *event.mutable_summary()->add_value();
  entry.set_tag(tag);
  entry.mutable_metadata()->mutable_plugin()->set_name("text");
  auto& tensor = *entry.mutable_tensor();
  tensor.set_type(proto::Tensor::STRING);
  tensor.mutable_shape()->add_axes()->set_size(1);
  tensor.add_strings(text);
  return framed(event);
}

}  // namespace softmoe
