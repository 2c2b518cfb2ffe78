#include "datasets/tasks/task_library.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "core/registry.h"
#include "datasets/sources/package_pictures.h"
#include "datasets/tasks/task_file.h"

namespace softmoe {
namespace {

// Each file is a raw string (datasets/CMakeLists.txt).
constexpr std::string_view kShapeTasks =
#include "shapes.inc"
    ;
constexpr std::string_view kCharacterTasks =
#include "characters.inc"
    ;
constexpr std::string_view kDigitTasks =
#include "digits.inc"
    ;
constexpr std::string_view kFashionTasks =
#include "fashion-mnist.inc"
    ;
constexpr std::string_view kStampTasks =
#include "stamps.inc"
    ;
constexpr std::string_view kClipArtTasks =
#include "clipart.inc"
    ;

constexpr std::array<TaskSetRow, 6> kSets{
    {{"shapes", "coloured shapes, drawn at run time", kShapeTasks},
     {"characters", "letters of this machine's fonts", kCharacterTasks, "/usr/share/fonts"},
     {"digits", "handwritten digits, embedded", kDigitTasks},
     {"fashion-mnist", "pictures of clothes", kFashionTasks, "/usr/share/datasets/fashion-mnist"},
     {"stamps", "pictures with sentences", kStampTasks, kStamps.folder},
     {"clipart", "pictures in colour by subject", kClipArtTasks, kClipArt.folder}}};

bool has_data(const TaskSetRow& row) {
  std::error_code none;
  return row.folder.empty() || std::filesystem::is_directory(row.folder, none);
}

}  // namespace

std::span<const TaskSetRow> task_sets() { return kSets; }

bool is_task_set(const std::string& name) {
  return name == kAllTasks ||
         std::ranges::any_of(kSets, [&](const TaskSetRow& row) { return row.name == name; });
}

std::vector<TaskOptions> task_set_of(const std::string& name) {
  if (name != kAllTasks) {
    return parse_tasks(std::string(find_row(task_sets(), name, "tasks").text), "tasks " + name);
  }
  std::vector<TaskOptions> tasks;
  for (const auto& row : kSets) {
    if (has_data(row)) {
      for (auto& task : task_set_of(std::string(row.name))) {
        tasks.push_back(std::move(task));
      }
    }
  }
  return tasks;
}

}  // namespace softmoe
