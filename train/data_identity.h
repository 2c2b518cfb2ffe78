#pragma once
/// What a run remembers of its data, to notice other data when it resumes.

#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"
#include "datasets/dataset.h"

namespace softmoe {

/// Which images a set has.
struct SetIdentity {
  int64_t images = 0;
  std::string digest;  ///< XXH3-64 of the names of all images, in their order

  bool operator==(const SetIdentity&) const = default;
};

/// The classes and images of a run.
struct DataIdentity {
  std::vector<std::string> class_names;
  SetIdentity train;
  SetIdentity val;

  bool operator==(const DataIdentity&) const = default;
};

/// The identity of two sets that `options` describe. Names of images count from the folder of the
/// data on, which may be moved.
DataIdentity data_identity(const Dataset& train, const Dataset& val, const DatasetOptions& options);

/// As metadata of a checkpoint; the class names stand elsewhere in it.
Json to_json(const DataIdentity& identity);

/// Throws InputError that says what differs, unless `now` is what the run in `folder` began with:
/// its class names, and `before` of to_json(), null if it is not known.
void check_same_data(const std::vector<std::string>& class_names, const Json& before,
                     const DataIdentity& now, const std::string& folder);

/// Throws InputError with `where` unless `now` are the classes `before`, in their order.
void check_same_classes(const std::vector<std::string>& before, const std::vector<std::string>& now,
                        const std::string& where);

}  // namespace softmoe
