#include "checkpoints/formats/pickle.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "checkpoints/formats/pickle_names.h"
#include "checkpoints/formats/pickle_stack.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// The instructions of a pickle.
class PickleMachine : private PickleStack {
 public:
  using PickleStack::PickleStack;

  Pickle run() {
    while (step(static_cast<unsigned char>(take(1)[0]))) {
    }
    return finish();
  }

 private:
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

  /// One list may be taken in many times, so what is taken in has a limit of its own.
  void count_items(size_t count) {
    added_items_ += count;
    if (added_items_ > kPickleObjectLimit) {
      fail_malformed("too many items");
    }
  }

  // --- Names and calls ---

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

  /// A dict of a list of pairs, as Python 2 wrote them, or an empty one.
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

  /// ('storage', type, key, location, elements) and perhaps None; old files: a view of another.
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

  // --- Instructions ---

  /// Carries out one instruction; false at the end.
  bool step(unsigned char code) {
    if (step_value(code) || step_container(code) || step_memory(code)) {
      return true;
    }
    switch (code) {
      case 0x80:  // PROTO
        if (take(1)[0] > 5) {
          fail_malformed("a newer pickle");
        }
        return true;
      case 0x95:  // FRAME: lengths of parts, of use for streams only
        take(8);
        return true;
      case 'c': {  // GLOBAL
        const auto module = take_line();
        push_global(module, take_line());
        return true;
      }
      case 0x93:  // STACK_GLOBAL
        push_stack_global();
        return true;
      case 'R':   // REDUCE
      case 0x81:  // NEWOBJ
        call();
        return true;
      case 'b':  // BUILD: attributes hold no tensors of a state dict
        pop();
        top_number();
        return true;
      case 'Q':  // BINPERSID
        push_storage();
        return true;
      case '.':  // STOP
        return false;
      default:
        throw InputError(
            where(), "a state dict",
            fmt::format("the pickle instruction 0x{:02x} at byte {}", code, position() - 1));
    }
  }

  bool step_value(unsigned char code) {
    switch (code) {
      case 'N':  // NONE
        push_new({});
        return true;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push_new({.kind = PickleKind::kBool, .integer = code == 0x88 ? 1 : 0});
        return true;
      case 'K':  // BININT1
        push_integer(static_cast<int64_t>(take_unsigned(1)));
        return true;
      case 'M':  // BININT2
        push_integer(static_cast<int64_t>(take_unsigned(2)));
        return true;
      case 'J':  // BININT
        push_integer(static_cast<int32_t>(take_unsigned(4)));
        return true;
      case 0x8a:  // LONG1
        push_long(take(take_unsigned(1)));
        return true;
      case 0x8b:  // LONG4
        push_long(take(take_unsigned(4)));
        return true;
      case 'G':  // BINFLOAT
        take(8);
        push_new({});
        return true;
      case 'X':  // BINUNICODE
      case 'T':  // BINSTRING: texts of Python 2
        push_text(PickleKind::kText, take(take_unsigned(4)));
        return true;
      case 0x8c:  // SHORT_BINUNICODE
      case 'U':   // SHORT_BINSTRING
        push_text(PickleKind::kText, take(take_unsigned(1)));
        return true;
      case 0x8d:  // BINUNICODE8
        push_text(PickleKind::kText, take(take_unsigned(8)));
        return true;
      case 'B':  // BINBYTES
        push_text(PickleKind::kBytes, take(take_unsigned(4)));
        return true;
      case 'C':  // SHORT_BINBYTES
        push_text(PickleKind::kBytes, take(take_unsigned(1)));
        return true;
      case 0x8e:  // BINBYTES8
      case 0x96:  // BYTEARRAY8
        push_text(PickleKind::kBytes, take(take_unsigned(8)));
        return true;
      default:
        return false;
    }
  }

  void push_long(std::string_view bytes) {
    if (bytes.size() > sizeof(int64_t)) {
      return push_text(PickleKind::kBytes, bytes);
    }
    const bool is_negative = !bytes.empty() && static_cast<signed char>(bytes.back()) < 0;
    int64_t value = is_negative ? -1 : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    push_integer(value);
  }

  bool step_container(unsigned char code) {
    switch (code) {
      case ')':  // EMPTY_TUPLE
        push_items(PickleKind::kTuple, {});
        return true;
      case 0x85:  // TUPLE1
      case 0x86:  // TUPLE2
      case 0x87:  // TUPLE3
        push_items(PickleKind::kTuple, pop_last(code - 0x84U));
        return true;
      case 't':  // TUPLE
        push_items(PickleKind::kTuple, pop_to_mark());
        return true;
      case ']':  // EMPTY_LIST
        push_items(PickleKind::kList, {});
        return true;
      case '}':  // EMPTY_DICT
        push_items(PickleKind::kDict, {});
        return true;
      case 0x8f:  // EMPTY_SET
        push_new({});
        return true;
      case 0x91:  // FROZENSET
        pop_to_mark();
        push_new({});
        return true;
      case 'a':  // APPEND
        append_last(1, PickleKind::kList);
        return true;
      case 'e':   // APPENDS
      case 0x90:  // ADDITEMS
        append(pop_to_mark(), PickleKind::kList);
        return true;
      case 's':  // SETITEM
        append_last(2, PickleKind::kDict);
        return true;
      case 'u':  // SETITEMS
        append(pop_to_mark(), PickleKind::kDict);
        return true;
      default:
        return false;
    }
  }

  void append_last(size_t count, PickleKind kind) {
    const auto items = pop_last(count);
    append(items, kind);
  }

  bool step_memory(unsigned char code) {
    switch (code) {
      case '(':  // MARK
        push_mark();
        return true;
      case '0':  // POP
        pop();
        return true;
      case '1':  // POP_MARK
        pop_to_mark();
        return true;
      case '2':  // DUP
        push(top_number());
        return true;
      case 'q':  // BINPUT
        remember(take_unsigned(1));
        return true;
      case 'r':  // LONG_BINPUT
        remember(take_unsigned(4));
        return true;
      case 0x94:  // MEMOIZE
        remember(remembered());
        return true;
      case 'h':  // BINGET
        recall(take_unsigned(1));
        return true;
      case 'j':  // LONG_BINGET
        recall(take_unsigned(4));
        return true;
      default:
        return false;
    }
  }

  size_t added_items_ = 0;
};

}  // namespace

Pickle read_pickle(std::string_view data, const std::string& where) {
  return PickleMachine(data, where).run();
}

}  // namespace softmoe
