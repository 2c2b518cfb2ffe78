#include "checkpoints/formats/pickle.h"

#include <fmt/format.h>

#include <cstring>

#include "checkpoints/formats/pickle_calls.h"
#include "core/error.h"

namespace softmoe {
namespace {

/// Carries out the instructions of a pickle.
class PickleMachine : private PickleCalls {
 public:
  using PickleCalls::PickleCalls;

  Pickle run() {
    while (step(static_cast<unsigned char>(take(1)[0]))) {
    }
    return finish();
  }

 private:
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
      case 0x92:  // NEWOBJ_EX: with named arguments, too
        pop();
        call();
        return true;
      case 'b':  // BUILD
        build();
        return true;
      case 'Q':  // BINPERSID
        push_persistent();
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
};

}  // namespace

std::string Pickle::maker(const PickleObject& opaque) const {
  if (opaque.integer == kUnknownName) {
    return "a program other than PyTorch";
  }
  const auto& global = at(static_cast<uint32_t>(opaque.integer));
  if (global.kind != PickleKind::kGlobal) {
    return "an unknown class";
  }
  const bool is_unknown = global.integer == kUnknownName;
  const auto module =
      is_unknown ? at(global.items.front()).text : pickle_name(global.integer).module;
  const auto name = is_unknown ? global.text : pickle_name(global.integer).name;
  return fmt::format("{}.{}", printable_text(module, 80), printable_text(name, 80));
}

Pickle read_pickle(std::string_view data, const std::string& where) {
  return PickleMachine(data, where).run();
}

}  // namespace softmoe
