#pragma once
/// The records of TensorBoard's event files, as bytes to append to a file. Each is framed as
/// TensorFlow's TFRecord: length (uint64), checksum of the length, the event, its checksum, all
/// little-endian.
///
/// This is a library apart from train/: its generated code must not be compiled with libtorch's
/// include folder, which carries headers of another version of protobuf.

#include <cstdint>
#include <string>

namespace softmoe {

/// When an event happened.
struct EventTime {
  double wall_time = 0.0;  ///< seconds since 1970
  int64_t step = 0;
};

/// The first record of a file.
std::string version_record(double wall_time);

/// The beginning of a sitting: TensorBoard drops events of earlier files at `time.step` and later.
std::string sitting_record(const EventTime& time);

/// A point of the curve `tag`, rounded to float32 as TensorBoard keeps it.
std::string scalar_record(const EventTime& time, const std::string& tag, double value);

/// A text in Markdown.
std::string text_record(const EventTime& time, const std::string& tag, const std::string& text);

}  // namespace softmoe
