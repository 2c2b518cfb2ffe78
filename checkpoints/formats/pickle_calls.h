#pragma once
/// What a pickle does with names of Python: looks them up, calls them, and fills the results.
/// Private to checkpoints/.

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "checkpoints/formats/pickle_names.h"
#include "checkpoints/formats/pickle_stack.h"
#include "core/error.h"

namespace softmoe {

/// The stack of a pickle, whose objects may be those of Python.
class PickleCalls : protected PickleStack {
 public:
  using PickleStack::PickleStack;

 protected:
  /// Adds to the list, dict or set on top of the stack; other objects keep nothing.
  void append(const std::vector<uint32_t>& items, PickleKind kind) {
    PickleObject& target = top();
    if (kind == PickleKind::kDict && items.size() % 2 != 0) {
      fail_malformed("a key without a value");
    }
    if (target.kind == kind) {
      count_items(items.size());
      target.items.insert(target.items.end(), items.begin(), items.end());
    } else if (target.kind != PickleKind::kOther) {
      fail_malformed(kind == PickleKind::kDict ? "a key for no dict" : "an item for no list");
    }
  }

  void push_global(std::string_view module, std::string_view name) {
    const auto number = find_pickle_name(module, name);
    if (!number) {
      throw InputError(
          where(), "a state dict of tensors and plain values",
          fmt::format("the global '{}.{}'", printable_text(module, 80), printable_text(name, 80)));
    }
    push_new({.kind = PickleKind::kGlobal, .integer = *number});
  }

  void push_stack_global() {
    const PickleObject name = object(pop());
    const PickleObject module = object(pop());
    if (name.kind != PickleKind::kText || module.kind != PickleKind::kText) {
      fail_malformed("a global without a name");
    }
    push_global(module.text, name.text);
  }

  /// Calls the function below the top of the stack with the tuple on top.
  void call() {
    const uint32_t arguments = pop_tuple();
    const uint32_t function = pop();
    if (object(function).kind != PickleKind::kGlobal) {
      fail_malformed("a call of what is no function");
    }
    switch (pickle_name(object(function).integer).action) {
      case PickleAction::kDict:
        return push_dict(object(arguments).items);
      case PickleAction::kTensor:
        return push_tensor(object(arguments).items);
      case PickleAction::kFirst:
        if (object(arguments).items.empty()) {
          fail_malformed("a parameter without a tensor");
        }
        return push(object(arguments).items.front());
      case PickleAction::kStorageType:
      case PickleAction::kOther:
        return push_new({});
    }
  }

  uint32_t pop_tuple() {
    const uint32_t number = pop();
    if (object(number).kind != PickleKind::kTuple) {
      fail_malformed("no tuple of arguments");
    }
    return number;
  }

  /// A dict of a list of pairs, as Python 2 writes them, or an empty one.
  void push_dict(const std::vector<uint32_t>& arguments) {
    std::vector<uint32_t> items;
    if (!arguments.empty() && object(arguments.front()).kind == PickleKind::kList) {
      for (const uint32_t pair : object(arguments.front()).items) {
        const auto& key_and_value = object(pair).items;
        if (key_and_value.size() != 2) {
          fail_malformed("a dict of no pairs");
        }
        count_items(2);
        items.insert(items.end(), key_and_value.begin(), key_and_value.end());
      }
    }
    push_items(PickleKind::kDict, std::move(items));
  }

  /// A tensor of (storage, offset, sizes, strides, ...).
  void push_tensor(const std::vector<uint32_t>& arguments) {
    if (arguments.size() < 4 || object(arguments[0]).kind != PickleKind::kStorage ||
        object(arguments[1]).kind != PickleKind::kInteger ||
        object(arguments[2]).kind != PickleKind::kTuple ||
        object(arguments[3]).kind != PickleKind::kTuple) {
      fail_malformed("a tensor without storage, offset, sizes and strides");
    }
    push_new({.kind = PickleKind::kTensor,
              .integer = object(arguments[1]).integer,
              .items = {arguments[0], arguments[2], arguments[3]}});
  }

  /// A storage of ('storage', type, key, location, elements) and perhaps None, in whose place old
  /// files may have a view of another.
  void push_storage() {
    const std::vector<uint32_t>& parts = object(pop_tuple()).items;
    const auto is = [&](size_t i, PickleKind kind) { return object(parts[i]).kind == kind; };
    const bool is_storage = (parts.size() == 5 || parts.size() == 6) && is(0, PickleKind::kText) &&
                            object(parts[0]).text == "storage" && is(1, PickleKind::kGlobal) &&
                            is(2, PickleKind::kText) && is(4, PickleKind::kInteger);
    if (!is_storage || pickle_name(object(parts[1]).integer).action != PickleAction::kStorageType) {
      fail_malformed("a reference to no storage");
    }
    if (parts.size() == 6 && !is(5, PickleKind::kOther)) {
      fail_malformed("a storage that is a view of another");
    }
    push_new({.kind = PickleKind::kStorage,
              .dtype = pickle_name(object(parts[1]).integer).dtype,
              .integer = object(parts[4]).integer,
              .text = object(parts[2]).text});
  }

 private:
  /// One list may be added many times, so added items have a limit of their own.
  void count_items(size_t count) {
    added_items_ += count;
    if (added_items_ > kPickleObjectLimit) {
      fail_malformed("too many items");
    }
  }

  size_t added_items_ = 0;
};

}  // namespace softmoe
