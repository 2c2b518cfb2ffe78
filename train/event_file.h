#pragma once
/// TensorBoard's event files.

#include <cstdint>
#include <filesystem>
#include <string>

#include "io/append_file.h"

namespace softmoe {

/// An event file of one sitting, as TensorBoard reads it. Failures are InputErrors that name it.
class EventFile {
 public:
  /// Makes events.out.tfevents.<seconds>.<host>.<process> in `folder`, with a name that sorts after
  /// the files of earlier sittings. TensorBoard drops events of these files after `step`.
  EventFile(const std::filesystem::path& folder, int64_t step);

  /// A point of the curve `tag`.
  void add_scalar(const std::string& tag, double value, int64_t step);
  /// A text in Markdown.
  void add_text(const std::string& tag, const std::string& text, int64_t step);
  /// Returns when everything is on the disk.
  void sync() { file_.sync(); }

  const std::filesystem::path& path() const { return file_.path(); }

 private:
  AppendFile file_;
};

}  // namespace softmoe
