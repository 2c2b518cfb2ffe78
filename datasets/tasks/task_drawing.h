#pragma once
/// How the questions of each kind of tasks are drawn: the functions that task_kinds() names.

#include "datasets/tasks/task_kinds.h"

namespace softmoe {

/// One item: what value of the attribute it has, of all values or a part of them.
void draw_classification(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// One item: does it have a value.
void draw_yes_no(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// One item: which of some values that the question lists it has.
void draw_which_of(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// One item, turned by quarters: how.
void draw_orientation(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// One item: does a text describe it.
void draw_matching(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// One item: which text describes it.
void draw_which_text(const TaskMatter& matter, Rng& rng, TaskDraft& draft);

/// Several items: how many have a value.
void draw_counting(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Several items: is there one with a value.
void draw_presence(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Two items: is the attribute of both equal.
void draw_same(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Two items side by side: which of them has a value.
void draw_which_side(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Two halves: which has more items with a value.
void draw_more(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Several items: the attribute of that which another attribute names.
void draw_attribute_of(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Four items: where that with a value is.
void draw_position(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Two items: is one on a side of the other.
void draw_relation(const TaskMatter& matter, Rng& rng, TaskDraft& draft);
/// Four items: where that is whose attribute differs from the others'.
void draw_odd_one(const TaskMatter& matter, Rng& rng, TaskDraft& draft);

}  // namespace softmoe
