#pragma once
/// Work on many items in threads, whose results are used one after the other in their order.

#include <cstdint>
#include <functional>

namespace softmoe {

/// Calls produce(index, place) for every index in [0, count), in `workers` threads at once, and
/// consume(index, place) in the calling thread, in the order of the indices. `place` in [0, places)
/// belongs to the item from its produce() to the end of its consume(), such as an element of a
/// vector that holds results; no more than `places` results wait. With 0 workers the calling thread
/// does all. The first exception, in the order of the indices, reaches the caller; no later item is
/// consumed then.
void for_each_in_order(int64_t count, int64_t workers, int64_t places,
                       const std::function<void(int64_t index, int64_t place)>& produce,
                       const std::function<void(int64_t index, int64_t place)>& consume);

}  // namespace softmoe
