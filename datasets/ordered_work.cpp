#include "datasets/ordered_work.h"

#include <c10/util/Exception.h>

#include "datasets/ordered_ring.h"

namespace softmoe {

void for_each_in_order(int64_t count, int64_t workers, int64_t places,
                       const std::function<void(int64_t index, int64_t place)>& produce,
                       const std::function<void(int64_t index, int64_t place)>& consume) {
  TORCH_CHECK_VALUE(workers >= 0 && places > 0, "for_each_in_order: ", workers, " workers, ",
                    places, " places");
  if (workers == 0) {
    for (int64_t index = 0; index < count; ++index) {
      produce(index, 0);
      consume(index, 0);
    }
    return;
  }
  OrderedRing ring(0, count, workers, places,
                   [&](int64_t index) { produce(index, index % places); });
  for (int64_t index = 0; index < count; ++index) {
    ring.wait(index);
    consume(index, index % places);
    ring.release(index);
  }
}

}  // namespace softmoe
