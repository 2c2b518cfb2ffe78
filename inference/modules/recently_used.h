#pragma once
/// A small map that forgets what was not used for longest.

#include <cstddef>
#include <list>
#include <utility>

namespace softmoe {

/// Values by key, at most `most` of them. Meant for a handful: keys are looked for one by one.
template <typename Key, typename Value>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(size_t most) : most_(most) {}

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

  /// The value used last, or null.
  Value* latest() { return items_.empty() ? nullptr : &items_.front().second; }

  /// Adds the value of a key that is not there; past the limit the one unused for longest goes.
  void insert(const Key& key, Value value) {
    items_.emplace_front(key, std::move(value));
    if (items_.size() > most_) {
      items_.pop_back();
    }
  }

  size_t size() const { return items_.size(); }

 private:
  size_t most_;
  std::list<std::pair<Key, Value>> items_;  // the one used last first
};

}  // namespace softmoe
