#include "datasets/tasks/task_kinds.h"

#include <array>

#include "core/registry.h"
#include "datasets/tasks/task_drawing.h"

namespace softmoe {
namespace {

using Texts = std::string_view;

constexpr std::array<Texts, 0> kNoSlots{};
constexpr std::array<Texts, 2> kValueSlots{"value", "values"};
constexpr std::array<Texts, 1> kValue{"value"};
constexpr std::array<Texts, 1> kChoices{"choices"};
constexpr std::array<Texts, 1> kCaption{"caption"};
constexpr std::array<Texts, 4> kRelationSlots{"value", "values", "other", "relation"};
constexpr std::array<Texts, 3> kRelation{"value", "other", "relation"};
constexpr std::array<Texts, 3> kNamingSlots{"value", "values", "by"};

constexpr std::array<Texts, 2> kAskClass{"What is the {attribute}?", "Name the {attribute}."};
constexpr std::array<Texts, 2> kAskYesNo{"Is the {attribute} {value}?",
                                         "Does the picture show {value}?"};
constexpr std::array<Texts, 2> kAskWhichOf{"Which of these is it: {choices}?",
                                           "Choose the {attribute} from {choices}."};
constexpr std::array<Texts, 2> kAskCount{"How many {values} are there?", "Count the {values}."};
constexpr std::array<Texts, 2> kAskPresence{"Is there a {value}?", "Can you see any {values}?"};
constexpr std::array<Texts, 2> kAskSame{"Do both have the same {attribute}?",
                                        "Is the {attribute} on both sides equal?"};
constexpr std::array<Texts, 2> kAskSide{"Which side shows {value}?", "On which side is {value}?"};
constexpr std::array<Texts, 2> kAskMore{"Which side has more {values}?",
                                        "Where are more {values}, left or right?"};
constexpr std::array<Texts, 2> kAskOrientation{"How is the picture turned?", "Which way up is it?"};
constexpr std::array<Texts, 2> kAskAttribute{"What is the {attribute} of the {value}?",
                                             "Which {attribute} has the {value}?"};
constexpr std::array<Texts, 2> kAskMatching{"Does this text fit the picture: {caption}?",
                                            "Is this a picture of {caption}?"};
constexpr std::array<Texts, 2> kAskWhichText{"Which text fits the picture?",
                                             "Describe the picture."};
constexpr std::array<Texts, 2> kAskPosition{"Where is the {value}?",
                                            "In which corner is the {value}?"};
constexpr std::array<Texts, 2> kAskRelation{"Is the {value} {relation} the {other}?",
                                            "Can {value} be seen {relation} {other}?"};
constexpr std::array<Texts, 2> kAskOdd{"Which one has another {attribute} than the others?",
                                       "Where is the odd one out by {attribute}?"};

constexpr std::array<TaskKindRow, 15> kKinds{{
    {.name = "classification",
     .meaning = "which value an item has",
     .slots = kNoSlots,
     .required = kNoSlots,
     .wordings = kAskClass,
     .draw = draw_classification},
    {.name = "yes_no",
     .meaning = "has an item a value",
     .slots = kValueSlots,
     .required = kValue,
     .wordings = kAskYesNo,
     .draw = draw_yes_no},
    {.name = "which_of",
     .meaning = "which of four values, that the question lists, an item has",
     .slots = kChoices,
     .required = kChoices,
     .wordings = kAskWhichOf,
     .draw = draw_which_of},
    {.name = "counting",
     .meaning = "how many items have a value; without {value}: how many there are",
     .slots = kValueSlots,
     .required = kNoSlots,
     .wordings = kAskCount,
     .draw = draw_counting},
    {.name = "presence",
     .meaning = "is there an item with a value among several",
     .slots = kValueSlots,
     .required = kValue,
     .wordings = kAskPresence,
     .draw = draw_presence},
    {.name = "same",
     .meaning = "have two items, side by side, one value",
     .slots = kNoSlots,
     .required = kNoSlots,
     .wordings = kAskSame,
     .draw = draw_same},
    {.name = "which_side",
     .meaning = "which of two items, side by side, has a value",
     .slots = kValueSlots,
     .required = kValue,
     .wordings = kAskSide,
     .draw = draw_which_side},
    {.name = "more",
     .meaning = "which half has more items with a value; without {value}: more items",
     .slots = kValueSlots,
     .required = kNoSlots,
     .wordings = kAskMore,
     .draw = draw_more},
    {.name = "orientation",
     .meaning = "how an item is turned, by quarters",
     .slots = kNoSlots,
     .required = kNoSlots,
     .wordings = kAskOrientation,
     .draw = draw_orientation,
     .min_values = 1},
    {.name = "attribute_of",
     .meaning = "the value of the one item among several that a value of the attribute `by` names",
     .slots = kNamingSlots,
     .required = kValue,
     .wordings = kAskAttribute,
     .draw = draw_attribute_of,
     .needs_by = true},
    {.name = "matching",
     .meaning = "does a text describe an item",
     .slots = kCaption,
     .required = kCaption,
     .wordings = kAskMatching,
     .draw = draw_matching,
     .needs_captions = true,
     .min_values = 1},
    {.name = "which_text",
     .meaning = "which of four texts describes an item",
     .slots = kNoSlots,
     .required = kNoSlots,
     .wordings = kAskWhichText,
     .draw = draw_which_text,
     .needs_captions = true,
     .answers_freely = true,
     .min_values = 1},
    {.name = "position",
     .meaning = "in which of four corners the item with a value is",
     .slots = kValueSlots,
     .required = kValue,
     .wordings = kAskPosition,
     .draw = draw_position},
    {.name = "relation",
     .meaning = "is the item with a value left of, right of, above or below another",
     .slots = kRelationSlots,
     .required = kRelation,
     .wordings = kAskRelation,
     .draw = draw_relation},
    {.name = "odd_one",
     .meaning = "in which of four corners the item is whose value differs from the others'",
     .slots = kNoSlots,
     .required = kNoSlots,
     .wordings = kAskOdd,
     .draw = draw_odd_one},
}};

}  // namespace

std::span<const TaskKindRow> task_kinds() { return kKinds; }

const TaskKindRow& find_task_kind(const std::string& name) {
  return find_row(task_kinds(), name, "kind");
}

}  // namespace softmoe
