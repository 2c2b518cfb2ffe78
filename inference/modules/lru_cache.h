#pragma once
/// A small map that drops the entry that was not used for the longest time.

#include <cstddef>
#include <list>
#include <utility>

namespace softmoe {

/// Values by key, at most `max_size` of them. For few entries: a search compares them one by one.
template <typename Key, typename Value>
class LruCache {
 public:
  explicit LruCache(size_t max_size) : max_size_(max_size) {}

  /// The value of `key`, or null; it counts as used.
  Value* find(const Key& key) {
    for (auto item = items_.begin(); item != items_.end(); ++item) {
      if (item->first == key) {
        items_.splice(items_.begin(), items_, item);
        return &items_.front().second;
      }
    }
    return nullptr;
  }

  /// The value that was used last, or null.
  Value* latest() { return items_.empty() ? nullptr : &items_.front().second; }

  /// Adds the value of a new key. Beyond the maximum size, the entry that was used longest ago is
  /// dropped.
  void insert(const Key& key, Value value) {
    items_.emplace_front(key, std::move(value));
    if (items_.size() > max_size_) {
      items_.pop_back();
    }
  }

  size_t size() const { return items_.size(); }

 private:
  size_t max_size_;
  std::list<std::pair<Key, Value>> items_;  // the one used last first
};

}  // namespace softmoe
