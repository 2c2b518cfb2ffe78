#pragma once
/// What a pickle does with names of Python: looks them up, calls them, and fills the results.
/// Nothing is run: calls of unknown names give opaque objects. Private to checkpoints/.

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
  /// Adds to the list, dict or set on top of the stack; other objects keep nothing. What takes
  /// items as a dict or list does is one, whatever its class.
  void append(const std::vector<uint32_t>& items, PickleKind kind) {
    PickleObject& target = top();
    if (kind == PickleKind::kDict && items.size() % 2 != 0) {
      fail_malformed("a key without a value");
    }
    if (target.kind == PickleKind::kOpaque) {
      target = {.kind = kind};
    }
    if (target.kind == kind) {
      count_items(items.size());
      target.items.insert(target.items.end(), items.begin(), items.end());
    } else if (target.kind != PickleKind::kOther) {
      fail_malformed(kind == PickleKind::kDict ? "a key for no dict" : "an item for no list");
    }
  }

  /// Gives the object below the top of the stack the attributes on top.
  void build() {
    const uint32_t attributes = pop();
    PickleObject& target = top();
    if (target.kind == PickleKind::kOpaque) {
      count_items(1);
      target.items.push_back(attributes);
    }
  }

  void push_global(std::string_view module, std::string_view name) {
    if (const auto number = find_pickle_name(module, name)) {
      return push_new({.kind = PickleKind::kGlobal, .integer = *number});
    }
    const uint32_t home = add({.kind = PickleKind::kText, .text = module});
    push_new({.kind = PickleKind::kGlobal, .integer = kUnknownName, .text = name, .items = {home}});
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
    push_result(pop(), arguments);
  }

  void push_result(uint32_t function, uint32_t arguments) {
    const auto& called = object(function);
    if (called.kind == PickleKind::kOpaque) {
      return push_opaque(called.integer, {function, arguments});
    }
    if (called.kind != PickleKind::kGlobal) {
      fail_malformed("a call of what is no function");
    }
    if (called.integer == kUnknownName) {
      return push_opaque(function, {arguments});
    }
    const auto& items = object(arguments).items;
    switch (pickle_name(called.integer).action) {
      case PickleAction::kDict:
        return push_dict(items);
      case PickleAction::kTensor:
        return push_tensor(items);
      case PickleAction::kFirst:
        if (items.empty()) {
          fail_malformed("a parameter without a tensor");
        }
        return push(items.front());
      case PickleAction::kFromType:
        return push_typed(function, arguments);
      case PickleAction::kObject:
        return push_object(function, arguments);
      case PickleAction::kStorageType:
        return push_opaque(function, {arguments});
    }
  }

  void push_opaque(int64_t maker, std::vector<uint32_t> items) {
    push_new({.kind = PickleKind::kOpaque, .integer = maker, .items = std::move(items)});
  }

  /// A tensor with attributes: (function, class, arguments, attributes). Other classes than
  /// PyTorch's own may mean something else by the same numbers.
  void push_typed(uint32_t function, uint32_t arguments) {
    const auto items = object(arguments).items;
    const bool is_plain = items.size() >= 3 && is_known(items[0]) &&
                          object(items[2]).kind == PickleKind::kTuple &&
                          (is_global(items[1], "torch", "Tensor") ||
                           is_global(items[1], "torch.nn.parameter", "Parameter"));
    if (!is_plain) {
      return push_opaque(items.size() >= 2 ? items[1] : function, {arguments});
    }
    const auto action = pickle_name(object(items[0]).integer).action;
    if (action != PickleAction::kTensor && action != PickleAction::kFirst) {
      return push_opaque(items[0], {arguments});
    }
    push_result(items[0], items[2]);
  }

  /// An object of (class, ...), which (class, base, value) with a dict or list makes one.
  void push_object(uint32_t function, uint32_t arguments) {
    const auto items = object(arguments).items;
    if (items.size() == 3) {
      const auto kind = object(items[2]).kind;
      if (kind == PickleKind::kDict || kind == PickleKind::kList) {
        return push(items[2]);
      }
    }
    push_opaque(items.empty() ? function : items.front(), {arguments});
  }

  bool is_known(uint32_t number) {
    return object(number).kind == PickleKind::kGlobal && object(number).integer != kUnknownName;
  }

  /// Returns true for the unknown name `name` of `module`.
  bool is_global(uint32_t number, std::string_view module, std::string_view name) {
    const auto& global = object(number);
    return global.kind == PickleKind::kGlobal && global.integer == kUnknownName &&
           global.text == name && object(global.items.front()).text == module;
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
    if (!arguments.empty() && object(arguments[0]).kind == PickleKind::kOpaque) {
      return push(arguments[0]);  // of a dtype that is not known
    }
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

  /// What stands outside the pickle: a storage of ('storage', type, key, location, elements) and
  /// perhaps None, in whose place old files may have a view of another; in legacy files also
  /// ('module', class, file, source); in files of other programs anything.
  void push_persistent() {
    const uint32_t reference = pop();
    const std::vector<uint32_t>& parts = object(reference).items;
    const auto is = [&](size_t i, PickleKind kind) { return object(parts[i]).kind == kind; };
    const bool is_tuple = object(reference).kind == PickleKind::kTuple;
    if (is_tuple && parts.size() >= 2 && is(0, PickleKind::kText) &&
        object(parts[0]).text == "module") {
      return push(parts[1]);
    }
    if (!is_tuple || parts.empty() || !is(0, PickleKind::kText) ||
        object(parts[0]).text != "storage") {
      return push_opaque(kUnknownName, {reference});
    }
    push_storage(parts);
  }

  void push_storage(const std::vector<uint32_t>& parts) {
    const auto is = [&](size_t i, PickleKind kind) { return object(parts[i]).kind == kind; };
    const bool is_storage = (parts.size() == 5 || parts.size() == 6) &&
                            is(1, PickleKind::kGlobal) && is(2, PickleKind::kText) &&
                            is(4, PickleKind::kInteger);
    if (!is_storage) {
      fail_malformed("a reference to no storage");
    }
    if (!is_known(parts[1])) {
      return push_opaque(parts[1], {});
    }
    if (pickle_name(object(parts[1]).integer).action != PickleAction::kStorageType) {
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
