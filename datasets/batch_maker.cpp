#include "datasets/batch_maker.h"

#include <c10/util/Exception.h>

#include <opencv2/core.hpp>

#include "core/error.h"
#include "core/log.h"
#include "datasets/bad_images.h"
#include "datasets/single_labels.h"

namespace softmoe {

uint64_t augment_key(uint64_t seed, int64_t epoch, int64_t index, int64_t repeat) {
  const uint64_t key =
      stream_key(seed, "augment", static_cast<uint64_t>(epoch), static_cast<uint64_t>(index));
  return repeat == 0 ? key : stream_key(key, "repeat", 0, static_cast<uint64_t>(repeat));
}

BatchMaker::BatchMaker(const Dataset& dataset, Transform transform, const LoaderOptions& options)
    : dataset_(dataset), transform_(std::move(transform)), options_(options) {
  TORCH_CHECK_VALUE(
      options.batch_size > 0 && options.workers >= 0 && options.prefetch > 0 && options.repeats > 0,
      "LoaderOptions: batch_size, prefetch and repeats must be positive, workers "
      "not negative");
  if (dataset.size() == 0) {
    throw UsageError("data set", "at least one image", "none");
  }
  if (options.shuffle && options.sampling != Sampling::kUniform) {
    if (dataset.endless()) {
      throw UsageError("sampling", "uniform for a data set without end, which draws its classes",
                       enum_name(options.sampling));
    }
    require_single_labels(dataset, "--sampling " + enum_name(options.sampling));
    sampler_.emplace(all_labels(dataset), options.sampling, options.seed);
  }
}

int64_t BatchMaker::batches_per_epoch() const {
  const int64_t size = dataset_.size();
  return options_.drop_last ? size / options_.batch_size
                            : (size + options_.batch_size - 1) / options_.batch_size;
}

void BatchMaker::set_epoch(int64_t epoch) {
  epoch_ = epoch;
  order_.clear();
  occurrences_.clear();
  if (sampler_) {
    for (const auto& image : sampler_->order(epoch)) {
      order_.push_back(image.index);
      occurrences_.push_back(image.occurrence);
    }
  } else if (options_.shuffle && !dataset_.endless()) {
    Rng rng(stream_key(options_.seed, "order", static_cast<uint64_t>(epoch)));
    order_ = random_permutation(dataset_.size(), rng);
  }
}

int64_t BatchMaker::index_at(int64_t position) const {
  if (dataset_.endless()) {
    return epoch_ * dataset_.size() + position / options_.repeats;
  }
  const int64_t place = place_of(position);
  return order_.empty() ? place : order_[static_cast<size_t>(place)];
}

int64_t BatchMaker::view_at(int64_t position) const {
  const int64_t view = position % options_.repeats;
  return occurrences_.empty()
             ? view
             : view + options_.repeats * occurrences_[static_cast<size_t>(place_of(position))];
}

int64_t BatchMaker::place_of(int64_t position) const {
  return position % dataset_.size() / options_.repeats;
}

PendingBatch BatchMaker::start_batch(int64_t number) const {
  PendingBatch batch;
  batch.number = number;
  const auto own = options_.share.rows_of(
      std::min(options_.batch_size, dataset_.size() - number * options_.batch_size));
  batch.first = own.first;
  batch.rows = own.count;
  const auto memory = torch::TensorOptions().pinned_memory(options_.pin_memory);
  batch.images =
      torch::empty({batch.rows, transform_.channels(), transform_.height(), transform_.width()},
                   memory.dtype(torch::kFloat32));
  const auto classes = static_cast<int64_t>(dataset_.class_names().size());
  batch.labels = dataset_.is_multi_label()
                     ? torch::zeros({batch.rows, classes}, memory.dtype(torch::kFloat32))
                     : torch::empty({batch.rows}, memory.dtype(torch::kInt64));
  batch.indices = torch::empty({batch.rows}, torch::kInt64);
  return batch;
}

std::vector<BadPlace> BatchMaker::fill(const PendingBatch& batch, int64_t begin,
                                       int64_t end) const {
  std::vector<BadPlace> bad;
  for (int64_t row = begin; row < end; ++row) {
    write_row(batch, row, batch.number * options_.batch_size + batch.first + row, bad);
  }
  return bad;
}

bool BatchMaker::write_row(const PendingBatch& batch, int64_t row, int64_t position,
                           std::vector<BadPlace>& bad) const {
  const int64_t index = index_at(position);
  const auto note = [&](const std::string& reason) {
    bad.push_back({row, {index, reason}});
    return false;
  };
  const auto note_memory = [&] {
    return note(dataset_.sample_name(index) + ": there is not enough memory for it");
  };
  try {
    write_sample(batch, row, position);
    return true;
  } catch (const InputError& error) {
    return note(error.what());
  } catch (const std::bad_alloc&) {
    return note_memory();
  } catch (const cv::Exception& error) {
    if (error.code != cv::Error::StsNoMem) {
      throw;
    }
    return note_memory();
  }
}

void BatchMaker::write_sample(const PendingBatch& batch, int64_t row, int64_t position) const {
  const int64_t index = index_at(position);
  Rng rng(augment_key(options_.seed, epoch_, index, view_at(position)));
  const int64_t floats = transform_.channels() * transform_.height() * transform_.width();
  float* out = batch.images.data_ptr<float>() + row * floats;
  const int64_t label = transform_.apply(dataset_, index, rng, out);
  if (dataset_.is_multi_label()) {
    for (const int64_t present : dataset_.labels(index)) {
      batch.labels.data_ptr<float>()[row * batch.labels.size(1) + present] = 1.0F;
    }
  } else {
    batch.labels.data_ptr<int64_t>()[row] = label;
  }
  batch.indices.data_ptr<int64_t>()[row] = index;
}

Batch BatchMaker::finish(PendingBatch batch, std::vector<BadPlace> bad) {
  if (bad.empty()) {
    return {batch.images, batch.labels, batch.indices, batch.number};
  }
  std::sort(bad.begin(), bad.end(),
            [](const BadPlace& a, const BadPlace& b) { return a.row < b.row; });
  std::vector<int64_t> bad_rows;
  for (const auto& place : bad) {
    note_bad(place.image);
    bad_rows.push_back(place.row);
  }
  if (options_.drop_last) {
    fill_places(batch, bad_rows);
    return {batch.images, batch.labels, batch.indices, batch.number};
  }
  std::vector<int64_t> good_rows;
  for (int64_t row = 0; row < batch.rows; ++row) {
    if (!std::binary_search(bad_rows.begin(), bad_rows.end(), row)) {
      good_rows.push_back(row);
    }
  }
  const auto rows = torch::tensor(good_rows, torch::kInt64);
  return {batch.images.index_select(0, rows), batch.labels.index_select(0, rows),
          batch.indices.index_select(0, rows), batch.number};
}

void BatchMaker::fill_places(const PendingBatch& batch, const std::vector<int64_t>& rows) {
  // The samples that follow the batch, from the beginning of the epoch again after its end, so that
  // the batch depends on its number alone. The limit on bad images ends this before it has gone
  // through the whole set.
  int64_t position = (batch.number + 1) * options_.batch_size + batch.first;
  const int64_t end = position + dataset_.size();
  for (const int64_t row : rows) {
    std::vector<BadPlace> bad;
    while (!write_row(batch, row, position++, bad)) {
      note_bad(bad.back().image);
      if (position == end) {
        throw InputError("the data set has no readable image");
      }
    }
  }
}

void BatchMaker::restore_bad_images(std::vector<BadImage> images) {
  bad_images_ = std::move(images);
  known_bad_.clear();
  for (const auto& image : bad_images_) {
    known_bad_.insert(image.index);
  }
}

void BatchMaker::note_bad(const BadImage& image) {
  if (!known_bad_.insert(image.index).second) {
    return;
  }
  bad_images_.push_back(image);
  check_bad_images(bad_images_, options_.max_bad_images, dataset_.size());
  if (options_.log_bad_images) {
    log_line("left out: " + image.reason);
  }
}

}  // namespace softmoe
