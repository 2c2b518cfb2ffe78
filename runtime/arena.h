#pragma once
/// Scratch memory that is handed out piece by piece and taken back as a whole.

#include <c10/core/Allocator.h>

#include <cstddef>
#include <cstdint>

namespace softmoe {

/// Memory of libtorch's CPU allocator. It only grows, so that its pages stay mapped and warm in the
/// caches. Pieces begin at multiples of 64 bytes.
///
/// Its room is given in bytes, as the sum of room() of all pieces:
///
///     arena.reset(Arena::room<float>(rows) + Arena::room<Bf16>(rows * dim));
///     auto* const sums = arena.take<float>(rows);
///
/// or, for many pieces, by a function that takes them:
///
///     arena.lay_out([&](Arena& layout) { sums = layout.take<float>(rows); });
class Arena {
 public:
  /// Takes everything back; what was handed out becomes invalid. Then has room for `bytes`.
  void reset(size_t bytes);

  /// Takes everything back, and hands out what `layout(*this)` takes. That is called twice: first
  /// take() gives null and only counts, then there is room for the count.
  template <typename Layout>
  void lay_out(const Layout& layout) {
    used_ = 0;
    is_counting_ = true;
    layout(*this);
    is_counting_ = false;
    reset(used_);
    layout(*this);
  }

  /// `count` values; the room must be there.
  template <typename T>
  T* take(int64_t count) {
    return reinterpret_cast<T*>(take_bytes(room<T>(count)));
  }

  /// The room that take() needs, in bytes.
  template <typename T>
  static size_t room(int64_t count) {
    return (static_cast<size_t>(count) * sizeof(T) + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  static constexpr size_t kAlignment = 64;

  std::byte* take_bytes(size_t bytes);

  c10::DataPtr memory_;
  size_t size_ = 0;
  size_t used_ = 0;
  bool is_counting_ = false;
};

/// This thread's own arena, for the life of one operator.
Arena& thread_arena();

}  // namespace softmoe
