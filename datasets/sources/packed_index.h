#pragma once
/// Everything in a packed file but its images.

#include <string>
#include <vector>

#include "io/hdf5.h"

namespace softmoe {

/// Arrays and attributes of a packed file, see packed.h.
struct PackedIndex {
  bool raw = false;
  bool multi_label = false;
  std::string split;
  std::string source;  ///< empty: not known
  std::vector<std::string> class_names;
  std::vector<std::string> class_texts;  ///< Dataset::class_texts(); empty: those of the names
  std::vector<int64_t> labels;           ///< [images], or of a multi-label set those of all images
  std::vector<int64_t> label_ends;       ///< [images] of a multi-label set, else empty
  std::vector<uint64_t> checksums;       ///< [images]
  std::vector<int64_t> ends;             ///< [images] in bytes; in raw layout, too
  std::vector<uint8_t> names;
  std::vector<int64_t> name_ends;  ///< [images]
  std::vector<uint8_t> captions;
  std::vector<int64_t> caption_ends;  ///< [images] of a set with captions, else empty
  std::vector<int64_t> shape;         ///< height, width, channels; in raw layout only

  int64_t size() const { return static_cast<int64_t>(checksums.size()); }
  bool has_captions() const { return !caption_ends.empty(); }
  /// The labels of an image, in ascending order.
  std::vector<int64_t> labels_of(int64_t index) const;
  std::string name(int64_t index) const;
  std::string caption(int64_t index) const;
  /// First byte of an image.
  int64_t begin(int64_t index) const;
  int64_t end(int64_t index) const { return ends[static_cast<size_t>(index)]; }
};

void write_index(Hdf5File& file, const PackedIndex& index);

/// Throws InputError that names the file and what contradicts the format.
PackedIndex read_index(const Hdf5File& file);

}  // namespace softmoe
