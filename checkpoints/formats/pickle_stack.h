#pragma once
/// The state of a pickle's machine: bytes, stack, remembered objects. Private to checkpoints/.

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "checkpoints/formats/pickle.h"
#include "core/error.h"

namespace softmoe {

/// Values on the stack are numbers of objects.
class PickleStack {
 public:
  PickleStack(std::string_view data, const std::string& where) : data_(data), where_(where) {}

 protected:
  // --- Errors ---

  [[noreturn]] void fail_malformed(const std::string& found) const {
    throw InputError(where_, "a state dict", fmt::format("{} at byte {}", found, at_));
  }

  // --- Bytes of the pickle ---

  std::string_view take(uint64_t count) {
    if (count > data_.size() - at_) {
      throw InputError(where_, "a whole pickle",
                       fmt::format("its end after {} bytes", data_.size()));
    }
    const auto bytes = data_.substr(at_, count);
    at_ += count;
    return bytes;
  }

  uint64_t take_unsigned(size_t bytes) {
    uint64_t value = 0;
    std::memcpy(&value, take(bytes).data(), bytes);  // little-endian, as pickles are
    return value;
  }

  std::string_view take_line() {
    const auto end = data_.find('\n', at_);
    const auto line = take(std::min(end, data_.size()) - at_);
    take(1);
    return line;
  }

  // --- Objects, stack and memo ---

  uint32_t add(PickleObject object) {
    if (pickle_.objects.size() == kPickleObjectLimit) {
      throw InputError(where_, fmt::format("a pickle of at most {} objects", kPickleObjectLimit),
                       "more");
    }
    pickle_.objects.push_back(std::move(object));
    return static_cast<uint32_t>(pickle_.objects.size() - 1);
  }

  void push(uint32_t number) {
    if (stack_.size() == kPickleObjectLimit) {
      fail_malformed("too deep a stack");
    }
    stack_.push_back(number);
  }
  void push_new(PickleObject object) { push(add(std::move(object))); }
  void push_text(PickleKind kind, std::string_view text) { push_new({.kind = kind, .text = text}); }
  void push_integer(int64_t value) { push_new({.kind = PickleKind::kInteger, .integer = value}); }

  PickleObject& object(uint32_t number) { return pickle_.objects[number]; }
  PickleObject& top() { return object(top_number()); }

  uint32_t top_number() {
    if (stack_.empty() || (!marks_.empty() && marks_.back() == stack_.size())) {
      fail_malformed("an empty stack");
    }
    return stack_.back();
  }

  uint32_t pop() {
    const uint32_t number = top_number();
    stack_.pop_back();
    return number;
  }

  std::vector<uint32_t> pop_to_mark() {
    if (marks_.empty()) {
      fail_malformed("no mark");
    }
    const auto begin = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<uint32_t> items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }

  std::vector<uint32_t> pop_last(size_t count) {
    std::vector<uint32_t> items(count);
    for (size_t i = count; i-- > 0;) {
      items[i] = pop();
    }
    return items;
  }

  void push_items(PickleKind kind, std::vector<uint32_t> items) {
    push_new({.kind = kind, .items = std::move(items)});
  }

  void remember(uint64_t key) {
    memo_[key] = top_number();
    if (memo_.size() > kPickleObjectLimit) {
      fail_malformed("too many remembered objects");
    }
  }

  void recall(uint64_t key) {
    const auto known = memo_.find(key);
    if (known == memo_.end()) {
      fail_malformed("an object that was not remembered");
    }
    push(known->second);
  }

  /// The result, whose root is on top of the stack.
  Pickle finish() {
    pickle_.root = pop();
    pickle_.bytes = at_;
    return std::move(pickle_);
  }

  void push_mark() {
    if (marks_.size() == kPickleObjectLimit) {
      fail_malformed("too many marks");
    }
    marks_.push_back(stack_.size());
  }

  size_t position() const { return at_; }
  const std::string& where() const { return where_; }
  uint64_t remembered() const { return memo_.size(); }

 private:
  std::string_view data_;
  const std::string& where_;
  size_t at_ = 0;
  Pickle pickle_;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, uint32_t> memo_;
};

}  // namespace softmoe
