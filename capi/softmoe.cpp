#include "capi/softmoe.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <mutex>
#include <new>
#include <vector>

#include "checkpoints/model_checkpoint.h"
#include "core/error.h"
#include "core/version.h"
#include "inference/image_inputs.h"
#include "inference/predictor.h"
#include "runtime/device.h"
#include "runtime/machine.h"

struct softmoe_model {
  softmoe::Predictor predictor;
  int64_t batch_size;
  int64_t threads;
  std::vector<std::string> class_names{};
  std::mutex turn{};
};

namespace {

/// Maximum height and width of an image from outside.
constexpr int64_t kMaxPixels = 1 << 20;

thread_local std::string last_error;

/// The result of `action`; if it throws, `failure`, and the error is kept.
template <typename Result, typename Action>
Result guarded(Result failure, const Action& action) {
  last_error.clear();
  try {
    return action();
  } catch (const std::bad_alloc&) {
    last_error = "not enough memory";
  } catch (const std::exception& error) {
    last_error = softmoe::single_line(error.what());
  } catch (...) {
    last_error = "unknown error";
  }
  return failure;
}

std::string text_or(const char* text, const char* otherwise) {
  return text == nullptr ? otherwise : text;
}

/// Sets the number of threads of libtorch's operators for the life of this object. libtorch has one
/// such number per thread and one for new threads. So if several objects live at once, each
/// restores the number from before the first one.
class ThreadsGuard {
 public:
  explicit ThreadsGuard(int64_t threads) {
    const std::lock_guard lock(mutex);
    if (users++ == 0) {
      before = at::get_num_threads();
    }
    softmoe::set_compute_threads(threads);
  }
  ~ThreadsGuard() {
    const std::lock_guard lock(mutex);
    --users;
    at::set_num_threads(before);
  }
  ThreadsGuard(const ThreadsGuard&) = delete;
  ThreadsGuard& operator=(const ThreadsGuard&) = delete;

 private:
  static inline std::mutex mutex;
  static inline int64_t users = 0;
  static inline int before = 0;
};

void check_range(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value < min || value > max) {
    throw softmoe::InputError(name, fmt::format("{} to {}", min, max), std::to_string(value));
  }
}

/// Throws unless `count` is at least 1, and the bytes of `count` images of `values_of_image` values
/// can be counted.
void check_count(int64_t count, int64_t values_of_image) {
  if (count < 1) {
    throw softmoe::InputError("count", "at least 1", std::to_string(count));
  }
  const int64_t max = INT64_MAX / static_cast<int64_t>(sizeof(float)) / values_of_image;
  if (count > max) {
    throw softmoe::InputError("count", fmt::format("at most {} images of this size", max),
                              std::to_string(count));
  }
}

void check_not_null(const char* name, const void* pointer) {
  if (pointer == nullptr) {
    throw softmoe::InputError(name, "a pointer", "null");
  }
}

softmoe_model* load(const char* path, const softmoe_options& options) {
  constexpr int64_t kMaxThreads = 1024;
  check_not_null("path", path);
  check_range("threads", options.threads, 0, kMaxThreads);
  check_range("batch_size", options.batch_size, 0, INT32_MAX);
  const ThreadsGuard threads(options.threads);
  const auto device = softmoe::parse_device(text_or(options.device, "auto"));
  const auto precision = softmoe::inference_precision(text_or(options.dtype, "auto"), device);
  softmoe::Predictor predictor(softmoe::load_weights(path), path, precision, device);
  auto* const model =
      new softmoe_model{.predictor = std::move(predictor),
                        .batch_size = options.batch_size > 0 ? options.batch_size : 32,
                        .threads = options.threads};
  const int64_t classes = model->predictor.description().options.num_classes;
  for (int64_t label = 0; label < classes; ++label) {
    model->class_names.push_back(model->predictor.class_name(label));
  }
  return model;
}

/// Writes the results that a caller asked for, row by row. Throws if an image was not readable.
void write_results(const softmoe::Predictions& predictions, float* logits, float* features) {
  if (!predictions.bad.empty()) {
    throw softmoe::InputError(predictions.bad.front().reason);
  }
  const auto write = [](const torch::Tensor& values, float* out) {
    if (out != nullptr) {
      const auto rows = values.contiguous();  // [count, values]
      std::copy_n(rows.const_data_ptr<float>(), rows.numel(), out);
    }
  };
  write(predictions.logits, logits);
  write(predictions.features, features);
}

softmoe::PredictionRequest request_of(const softmoe_model& model, const float* logits,
                                      const float* features) {
  if (logits != nullptr && !model.predictor.has_head()) {
    throw softmoe::InputError("logits", "null, as the model has no head", "a pointer");
  }
  return {.topk = 1, .logits = logits != nullptr, .features = features != nullptr};
}

}  // namespace

const char* softmoe_version(void) { return softmoe::kVersion; }

const char* softmoe_last_error(void) { return last_error.c_str(); }

softmoe_model* softmoe_load(const char* path, const softmoe_options* options) {
  return guarded(static_cast<softmoe_model*>(nullptr),
                 [&] { return load(path, options == nullptr ? softmoe_options{} : *options); });
}

void softmoe_free(softmoe_model* model) { delete model; }

softmoe_shape softmoe_model_shape(const softmoe_model* model) {
  if (model == nullptr) {
    return {};
  }
  const auto& options = model->predictor.description().options;
  return {.height = options.image_height(),
          .width = options.image_width(),
          .channels = options.in_chans,
          .classes = options.num_classes,
          .feature_dim = options.feature_dim()};
}

const char* softmoe_class_name(const softmoe_model* model, int64_t label) {
  if (model == nullptr) {
    return nullptr;
  }
  const auto count = static_cast<int64_t>(model->class_names.size());
  return label < 0 || label >= count ? nullptr
                                     : model->class_names[static_cast<size_t>(label)].c_str();
}

int softmoe_predict_pixels(softmoe_model* model, const uint8_t* pixels, int64_t count,
                           int64_t height, int64_t width, int64_t channels, float* logits,
                           float* features) {
  return guarded(-1, [&] {
    check_not_null("model", model);
    check_not_null("pixels", pixels);
    check_range("height", height, 1, kMaxPixels);
    check_range("width", width, 1, kMaxPixels);
    if (channels != 1 && channels != 3) {
      throw softmoe::InputError("channels", "1 or 3", std::to_string(channels));
    }
    check_count(count, height * width * channels);
    const auto request = request_of(*model, logits, features);
    // The pixels are only read; from_blob takes no pointer to const.
    const auto array = torch::from_blob(const_cast<uint8_t*>(pixels),
                                        {count, height, width, channels}, torch::kUInt8);
    const auto images = softmoe::open_image_array(array, "pixels");
    const std::scoped_lock lock(model->turn);
    const ThreadsGuard threads(model->threads);
    write_results(model->predictor.predict(*images, model->batch_size, /*workers=*/1, request),
                  logits, features);
    return 0;
  });
}

int softmoe_predict(softmoe_model* model, const float* images, int64_t count, float* logits,
                    float* features) {
  return guarded(-1, [&] {
    check_not_null("model", model);
    check_not_null("images", images);
    const auto shape = softmoe_model_shape(model);
    check_count(count, shape.height * shape.width * shape.channels);
    const auto request = request_of(*model, logits, features);
    const auto array =
        torch::from_blob(const_cast<float*>(images),
                         {count, shape.height, shape.width, shape.channels}, torch::kFloat32);
    const std::scoped_lock lock(model->turn);
    const ThreadsGuard threads(model->threads);
    write_results(model->predictor.predict(array, "images", model->batch_size, request), logits,
                  features);
    return 0;
  });
}
