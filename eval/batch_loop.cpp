#include "eval/batch_loop.h"

#include "core/error.h"
#include "core/progress.h"
#include "runtime/autocast_guard.h"

namespace softmoe {

void for_each_output(const Forward& forward, Loader& loader, const BatchLoopOptions& options,
                     const std::function<void(const Batch&, const torch::Tensor&)>& consume) {
  const c10::InferenceMode inference;
  Progress progress(options.label, options.images / options.world.size(), "images");
  loader.start(/*epoch=*/0);
  int64_t done = 0;
  const auto outputs_of = [&](const torch::Tensor& images) {
    const AutocastGuard autocast(options.device, options.dtype);
    return forward(images.to(options.device));  // [batch, n]
  };
  while (!options.stop_there || done < options.images) {
    const auto batch = loader.next();
    if (!batch) {
      while (options.together.any(false)) {
        outputs_of(options.idle_images);
      }
      break;
    }
    options.together.any(true);
    if (options.before_batch) {
      options.before_batch();
    }
    const auto outputs = outputs_of(batch->images);  // [batch, n]
    TORCH_CHECK_VALUE(outputs.dim() == 2 && outputs.size(0) == batch->images.size(0), options.label,
                      ": expected outputs [", batch->images.size(0), ", n], found ",
                      outputs.sizes());
    consume(*batch, outputs);
    done += batch->images.size(0);
    progress.update(done, options.note && progress.is_due() ? options.note() : "");
  }
  progress.finish();
  if (!options.world.any(done > 0)) {
    throw InputError(options.label, "at least one readable image", "none");
  }
}

}  // namespace softmoe
