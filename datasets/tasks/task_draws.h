#pragma once
/// Draws that kinds of tasks share.

#include <array>
#include <string>
#include <vector>

#include "datasets/tasks/task_kinds.h"

namespace softmoe {

/// One of `items`.
template <typename Items>
const auto& one_of(const Items& items, Rng& rng) {
  return items[static_cast<size_t>(rng.below(std::ssize(items)))];
}

/// A value of `attribute` that items have.
int64_t any_value(const ItemAttribute& attribute, Rng& rng);
/// One that is not `value`.
int64_t other_value(const ItemAttribute& attribute, int64_t value, Rng& rng);
/// `value` and others, at most `count` different ones, in random order.
std::vector<int64_t> some_values(const ItemAttribute& attribute, int64_t value, int64_t count,
                                 Rng& rng);

/// An item whose asked attribute has `value`, or any other value.
Item item_with(const TaskMatter& matter, int64_t value, Rng& rng);
Item item_without(const TaskMatter& matter, int64_t value, Rng& rng);

/// Adds `item` at a place of a grid (grid_place()).
void put(TaskDraft& draft, Item item, int64_t rows, int64_t columns, int64_t cell, Rng& rng);

/// Sets {value} and {values}.
void set_value_slots(TaskDraft& draft, const std::string& word);
/// Makes `choices` the answers, of which `answer` is right.
void set_answer(TaskDraft& draft, std::vector<std::string> choices, int64_t answer);
/// The answers "yes" and "no".
void set_yes_no(TaskDraft& draft, bool is_yes);

/// "circles", "boxes", "cherries": the plural of an English noun without exceptions.
std::string plural_word(const std::string& word);

/// The answers of questions for a place among four, in the order of cells.
inline constexpr std::array kCorners{"top left", "top right", "bottom left", "bottom right"};

}  // namespace softmoe
