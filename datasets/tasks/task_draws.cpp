#include "datasets/tasks/task_draws.h"

#include <algorithm>

namespace softmoe {

int64_t any_value(const ItemAttribute& attribute, Rng& rng) {
  return one_of(attribute.values, rng);
}

int64_t other_value(const ItemAttribute& attribute, int64_t value, Rng& rng) {
  auto values = attribute.values;
  std::erase(values, value);
  return one_of(values, rng);
}

std::vector<int64_t> some_values(const ItemAttribute& attribute, int64_t value, int64_t count,
                                 Rng& rng) {
  std::vector<int64_t> values;
  for (const auto place : random_permutation(std::ssize(attribute.values), rng)) {
    values.push_back(attribute.values[static_cast<size_t>(place)]);
  }
  const auto found = std::find(values.begin(), values.end(), value);
  const auto end = std::min(count, std::ssize(values));
  if (found - values.begin() >= end) {
    std::swap(*found, values[static_cast<size_t>(rng.below(end))]);
  }
  values.resize(static_cast<size_t>(end));
  return values;
}

Item item_with(const TaskMatter& matter, int64_t value, Rng& rng) {
  return matter.source.draw({{.attribute = matter.attribute, .value = value}}, rng);
}

Item item_without(const TaskMatter& matter, int64_t value, Rng& rng) {
  return matter.source.draw({{.attribute = matter.attribute, .value = value, .is_value = false}},
                            rng);
}

void put(TaskDraft& draft, Item item, int64_t rows, int64_t columns, int64_t cell, Rng& rng) {
  draft.scene.items.push_back(
      {.item = std::move(item), .place = grid_place(rows, columns, cell, rng)});
}

void set_value_slots(TaskDraft& draft, const std::string& word) {
  draft.slots["value"] = word;
  draft.slots["values"] = plural_word(word);
}

void set_answer(TaskDraft& draft, std::vector<std::string> choices, int64_t answer) {
  draft.choices = std::move(choices);
  draft.answer = answer;
}

void set_yes_no(TaskDraft& draft, bool is_yes) { set_answer(draft, {"yes", "no"}, is_yes ? 0 : 1); }

std::string plural_word(const std::string& word) {
  const auto ends = [&](const char* ending) { return word.ends_with(ending); };
  if (ends("s") || ends("x") || ends("ch") || ends("sh")) {
    return word + "es";
  }
  const bool has_vowel_before_y = ends("ay") || ends("ey") || ends("oy") || ends("uy");
  if (ends("y") && !has_vowel_before_y) {
    return word.substr(0, word.size() - 1) + "ies";
  }
  return word + "s";
}

}  // namespace softmoe
