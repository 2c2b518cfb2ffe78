#include "datasets/tasks/task_scene.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

namespace softmoe {
namespace {

/// `place` in pixels of a picture of `side`, a square within it.
cv::Rect pixel_rect(const cv::Rect2d& place, int side) {
  const int edge = std::clamp(static_cast<int>(std::lround(place.width * side)), 1, side);
  const auto begin = [&](double share) {
    return std::clamp(static_cast<int>(std::lround(share * side)), 0, side - edge);
  };
  return {begin(place.x), begin(place.y), edge, edge};
}

void turn(cv::Mat& region, int quarter_turns) {
  if (quarter_turns == 0) {
    return;
  }
  constexpr std::array kTurns{cv::ROTATE_90_CLOCKWISE, cv::ROTATE_180,
                              cv::ROTATE_90_COUNTERCLOCKWISE};
  cv::Mat turned;
  cv::rotate(region, turned, kTurns[static_cast<size_t>(quarter_turns - 1)]);
  turned.copyTo(region);
}

}  // namespace

cv::Mat paint_scene(const TaskScene& scene, const ItemSource& source, int64_t side) {
  const auto pixels = static_cast<int>(side);
  cv::Mat picture(pixels, pixels, CV_8UC3, scene.background);
  for (const auto& placed : scene.items) {
    cv::Mat region = picture(pixel_rect(placed.place, pixels));
    source.paint(placed.item, region);
    turn(region, placed.quarter_turns);
  }
  if (scene.has_middle_line) {
    const int width = std::max(1, pixels / 32);
    cv::rectangle(picture, cv::Rect((pixels - width) / 2, 0, width, pixels), cv::Scalar::all(128),
                  cv::FILLED);
  }
  return picture;
}

cv::Rect2d grid_place(int64_t rows, int64_t columns, int64_t cell, Rng& rng) {
  const double width = 1.0 / static_cast<double>(columns);
  const double height = 1.0 / static_cast<double>(rows);
  const double side = rng.uniform(0.84, 0.94) * std::min(width, height);
  const double left = static_cast<double>(cell % columns) * width;
  const double top = static_cast<double>(cell / columns) * height;
  const double x = left + rng.uniform(0, width - side);
  const double y = top + rng.uniform(0, height - side);
  return {x, y, side, side};
}

}  // namespace softmoe
