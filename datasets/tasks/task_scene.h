#pragma once
/// Pictures of tasks: where which items stand.

#include <opencv2/core/types.hpp>
#include <vector>

#include "datasets/tasks/item_source.h"

namespace softmoe {

/// An item and its place in a picture.
struct PlacedItem {
  Item item;
  cv::Rect2d place;       ///< as shares of the picture's side
  int quarter_turns = 0;  ///< clockwise
};

/// What a picture shows.
struct TaskScene {
  std::vector<PlacedItem> items = {};
  cv::Scalar background = {};
  bool has_middle_line = false;  ///< between a left and a right half
};

/// The picture of `scene`, `side` x `side` uint8 RGB, with items of `source`. Throws InputError if
/// the image of an item cannot be read.
cv::Mat paint_scene(const TaskScene& scene, const ItemSource& source, int64_t side);

/// Places in cell number `cell` of a grid of `rows` by `columns` cells, in reading order: of about
/// nine tenths of its shorter side, moved at random.
cv::Rect2d grid_place(int64_t rows, int64_t columns, int64_t cell, Rng& rng);

}  // namespace softmoe
