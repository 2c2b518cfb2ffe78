/// softmoe's side of bench/peers/images.py: batches of training images from JPEG files.
///
///   image_worker FOLDER WORKERS BATCH DECODING    DECODING: full, crop or scaled

#include "bench/take_turns.h"
#include "core/log.h"
#include "datasets/loader.h"
#include "datasets/sources/image_folder.h"

namespace softmoe {
namespace {

int serve(int argc, char** argv) {
  if (argc != 5) {
    throw UsageError("image_worker FOLDER WORKERS BATCH full|crop|scaled");
  }
  const auto set = open_image_folder(argv[1], "all");
  PreprocessOptions preprocess;
  preprocess.hflip = 0.5;
  preprocess.jpeg_decoding = enum_value<JpegDecoding>(argv[4]).value();
  LoaderOptions options;
  options.workers = std::stoll(argv[2]);
  options.batch_size = std::stoll(argv[3]);
  options.shuffle = true;
  options.drop_last = true;
  Loader loader(*set, Transform::training(preprocess), options);
  int64_t epoch = 0;
  loader.start(epoch);
  const auto take_batch = [&] {
    if (!loader.next()) {
      loader.start(++epoch);
      loader.next();
    }
  };
  take_batch();
  say({{"images", set->size()}});
  take_turns(options.batch_size, take_batch);
  return 0;
}

}  // namespace
}  // namespace softmoe

int main(int argc, char** argv) {
  return softmoe::run_bench("image_worker", argc, argv, softmoe::serve);
}
