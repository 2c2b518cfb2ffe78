#include "datasets/tasks/task_drawing.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "datasets/tasks/task_draws.h"

namespace softmoe {
namespace {

/// Values that a question lists.
constexpr int64_t kListed = 4;
/// Draws for an item that differs from another.
constexpr int64_t kMaxDraws = 1000;

const std::array<std::string, 10> kNumbers{"zero", "one", "two",   "three", "four",
                                           "five", "six", "seven", "eight", "nine"};

std::vector<std::string> words_of(const ItemAttribute& attribute,
                                  const std::vector<int64_t>& values) {
  std::vector<std::string> words;
  for (const auto value : values) {
    words.push_back(attribute.words[static_cast<size_t>(value)]);
  }
  return words;
}

const std::string& word_of(const ItemAttribute& attribute, int64_t value) {
  return attribute.words[static_cast<size_t>(value)];
}

/// One item that fills the picture, whose asked attribute has `value`.
void put_single(const TaskMatter& matter, int64_t value, Rng& rng, TaskDraft& draft) {
  put(draft, item_with(matter, value, rng), 1, 1, 0, rng);
}

/// An item of the source with a caption that is none of `captions`, which gets it, too.
Item new_caption(const TaskMatter& matter, std::set<std::string>& captions, Rng& rng) {
  for (int64_t turn = 0; turn < kMaxDraws; ++turn) {
    auto item = matter.source.draw({}, rng);
    if (captions.insert(matter.source.caption(item)).second) {
      return item;
    }
  }
  throw InputError(matter.options.source, "pictures with different captions", "equal captions");
}

/// The cells of a grid for several items, in random order.
struct ItemGrid {
  int64_t rows;
  int64_t columns;
  std::vector<int64_t> cells;
};

ItemGrid item_grid(int64_t items, Rng& rng) {
  const int64_t edge = items <= 4 ? 2 : 3;
  return {edge, edge, random_permutation(edge * edge, rng)};
}

}  // namespace

void draw_classification(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto value = any_value(matter.asked(), rng);
  put_single(matter, value, rng, draft);
  auto values = some_values(matter.asked(), value, matter.options.max_choices, rng);
  std::sort(values.begin(), values.end());
  set_answer(draft, words_of(matter.asked(), values),
             std::find(values.begin(), values.end(), value) - values.begin());
}

void draw_yes_no(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto value = any_value(matter.asked(), rng);
  const bool is_yes = rng.below(2) == 0;
  put_single(matter, value, rng, draft);
  const auto named = is_yes ? value : other_value(matter.asked(), value, rng);
  set_value_slots(draft, word_of(matter.asked(), named));
  set_yes_no(draft, is_yes);
}

void draw_which_of(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto value = any_value(matter.asked(), rng);
  put_single(matter, value, rng, draft);
  const auto values = some_values(matter.asked(), value, kListed, rng);
  auto words = words_of(matter.asked(), values);
  draft.slots["choices"] = fmt::format("{}", fmt::join(words, ", "));
  set_answer(draft, std::move(words),
             std::find(values.begin(), values.end(), value) - values.begin());
}

void draw_orientation(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  auto item = matter.source.draw({}, rng);
  for (int64_t turn = 0; turn < kMaxDraws && matter.source.is_symmetric(item); ++turn) {
    item = matter.source.draw({}, rng);
  }
  put(draft, std::move(item), 1, 1, 0, rng);
  const auto turns = rng.below(4);
  draft.scene.items.back().quarter_turns = static_cast<int>(turns);
  set_answer(draft, {"upright", "turned right", "upside down", "turned left"}, turns);
}

void draw_matching(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  std::set<std::string> captions;
  const auto item = new_caption(matter, captions, rng);
  const auto other = new_caption(matter, captions, rng);
  const bool is_yes = rng.below(2) == 0;
  draft.slots["caption"] = matter.source.caption(is_yes ? item : other);
  put(draft, item, 1, 1, 0, rng);
  set_yes_no(draft, is_yes);
}

void draw_which_text(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  std::set<std::string> captions;
  std::vector<std::string> texts;
  const auto answer = rng.below(kListed);
  for (int64_t choice = 0; choice < kListed; ++choice) {
    auto item = new_caption(matter, captions, rng);
    texts.push_back(matter.source.caption(item));
    if (choice == answer) {
      put(draft, std::move(item), 1, 1, 0, rng);
    }
  }
  set_answer(draft, std::move(texts), answer);
}

void draw_counting(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto max_items = matter.options.max_items;
  // Of all items, one at least is shown.
  const auto least = matter.names_value ? 0 : 1;
  const auto counted = least + rng.below(max_items - least + 1);
  const auto others = matter.names_value ? rng.below(max_items - counted + 1) : 0;
  const auto grid = item_grid(max_items, rng);
  const auto value = any_value(matter.asked(), rng);
  for (int64_t number = 0; number < counted + others; ++number) {
    auto item = !matter.names_value ? matter.source.draw({}, rng)
                : number < counted  ? item_with(matter, value, rng)
                                    : item_without(matter, value, rng);
    put(draft, std::move(item), grid.rows, grid.columns, grid.cells[static_cast<size_t>(number)],
        rng);
  }
  set_value_slots(draft, word_of(matter.asked(), value));
  set_answer(draft, {kNumbers.begin() + least, kNumbers.begin() + max_items + 1}, counted - least);
}

void draw_presence(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const bool is_yes = rng.below(2) == 0;
  const auto value = any_value(matter.asked(), rng);
  const auto count = 2 + rng.below(matter.options.max_items - 1);
  const auto grid = item_grid(matter.options.max_items, rng);
  for (int64_t number = 0; number < count; ++number) {
    auto item =
        is_yes && number == 0 ? item_with(matter, value, rng) : item_without(matter, value, rng);
    put(draft, std::move(item), grid.rows, grid.columns, grid.cells[static_cast<size_t>(number)],
        rng);
  }
  set_value_slots(draft, word_of(matter.asked(), value));
  set_yes_no(draft, is_yes);
}

void draw_same(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const bool is_yes = rng.below(2) == 0;
  const auto value = any_value(matter.asked(), rng);
  put(draft, item_with(matter, value, rng), 1, 2, 0, rng);
  put(draft, is_yes ? item_with(matter, value, rng) : item_without(matter, value, rng), 1, 2, 1,
      rng);
  draft.scene.has_middle_line = true;
  set_yes_no(draft, is_yes);
}

void draw_which_side(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto side = rng.below(2);
  const auto value = any_value(matter.asked(), rng);
  put(draft, item_with(matter, value, rng), 1, 2, side, rng);
  put(draft, item_without(matter, value, rng), 1, 2, 1 - side, rng);
  draft.scene.has_middle_line = true;
  set_value_slots(draft, word_of(matter.asked(), value));
  set_answer(draft, {"left", "right"}, side);
}

void draw_more(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  // Each half is a column of three cells, and half of a grid of 3 x 4.
  constexpr int64_t kRows = 3;
  constexpr int64_t kColumns = 4;
  constexpr int64_t kCells = kRows * kColumns / 2;
  const auto value = any_value(matter.asked(), rng);
  const auto side = rng.below(2);
  const auto most = std::min(kCells, matter.options.max_items);
  const auto more = 1 + rng.below(most);
  const auto fewer = rng.below(more);
  for (int64_t half = 0; half < 2; ++half) {
    const auto counted = half == side ? more : fewer;
    const auto others = matter.names_value ? rng.below(most - counted + 1) : 0;
    const auto cells = random_permutation(kCells, rng);
    for (int64_t number = 0; number < counted + others; ++number) {
      const auto cell = cells[static_cast<size_t>(number)];
      auto item = !matter.names_value ? matter.source.draw({}, rng)
                  : number < counted  ? item_with(matter, value, rng)
                                      : item_without(matter, value, rng);
      put(draft, std::move(item), kRows, kColumns,
          cell / 2 * kColumns + half * kColumns / 2 + cell % 2, rng);
    }
  }
  draft.scene.has_middle_line = true;
  set_value_slots(draft, word_of(matter.asked(), value));
  set_answer(draft, {"left", "right"}, side);
}

void draw_attribute_of(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto value = any_value(matter.asked(), rng);
  auto asked = item_with(matter, value, rng);
  const auto named = asked.values[static_cast<size_t>(matter.by)];
  const auto count = 2 + rng.below(std::min<int64_t>(3, matter.options.max_items - 1));
  const auto grid = item_grid(count, rng);
  for (int64_t number = 0; number < count; ++number) {
    auto item = number == 0
                    ? std::move(asked)
                    : matter.source.draw(
                          {{.attribute = matter.by, .value = named, .is_value = false}}, rng);
    put(draft, std::move(item), grid.rows, grid.columns, grid.cells[static_cast<size_t>(number)],
        rng);
  }
  auto values = some_values(matter.asked(), value, matter.options.max_choices, rng);
  std::sort(values.begin(), values.end());
  set_value_slots(draft, word_of(matter.naming(), named));
  set_answer(draft, words_of(matter.asked(), values),
             std::find(values.begin(), values.end(), value) - values.begin());
}

void draw_position(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto value = any_value(matter.asked(), rng);
  const auto place = rng.below(std::ssize(kCorners));
  for (int64_t cell = 0; cell < std::ssize(kCorners); ++cell) {
    put(draft, cell == place ? item_with(matter, value, rng) : item_without(matter, value, rng), 2,
        2, cell, rng);
  }
  set_value_slots(draft, word_of(matter.asked(), value));
  set_answer(draft, {kCorners.begin(), kCorners.end()}, place);
}

void draw_relation(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  static const std::array<std::array<std::string, 2>, 2> kRelations{
      {{"left of", "right of"}, {"above", "below"}}};
  const auto axis = static_cast<size_t>(rng.below(2));
  const auto side = rng.below(2);   // of the first item
  const auto asked = rng.below(2);  // the relation of the question
  const auto first = any_value(matter.asked(), rng);
  const auto second = other_value(matter.asked(), first, rng);
  const int64_t rows = axis == 0 ? 1 : 2;
  const int64_t columns = axis == 0 ? 2 : 1;
  put(draft, item_with(matter, first, rng), rows, columns, side, rng);
  put(draft, item_with(matter, second, rng), rows, columns, 1 - side, rng);
  set_value_slots(draft, word_of(matter.asked(), first));
  draft.slots["other"] = word_of(matter.asked(), second);
  draft.slots["relation"] = kRelations[axis][static_cast<size_t>(asked)];
  set_yes_no(draft, side == asked);
}

void draw_odd_one(const TaskMatter& matter, Rng& rng, TaskDraft& draft) {
  const auto value = any_value(matter.asked(), rng);
  const auto odd = other_value(matter.asked(), value, rng);
  const auto place = rng.below(std::ssize(kCorners));
  for (int64_t cell = 0; cell < std::ssize(kCorners); ++cell) {
    put(draft, item_with(matter, cell == place ? odd : value, rng), 2, 2, cell, rng);
  }
  set_answer(draft, {kCorners.begin(), kCorners.end()}, place);
}

}  // namespace softmoe
