#pragma once
/// Python's pickles as torch.save writes them, read without running anything. Private to
/// checkpoints/.
///
/// libtorch's own reader (torch::pickle_load) takes no legacy files and no Python objects beside
/// the tensors, and does not check the sizes and strides of a file. This one knows the few
/// instructions and names that a state dict needs. A pickle can call any function of Python by
/// name: here a table says what the known names make, and what any other name makes is an opaque
/// object, of which only the name is known. Source: Python's pickletools.py (instructions),
/// torch/_utils.py and torch/serialization.py (what torch.save makes of tensors).

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace softmoe {

/// Max number of objects of one pickle, and of the items and keys it may look up.
inline constexpr size_t kPickleObjectLimit = 4'000'000;

/// The kinds of objects that state dicts need.
enum class PickleKind : uint8_t {
  kOther,    ///< anything without tensors: None, numbers with a point, settings, ...
  kBool,     ///< `integer`
  kInteger,  ///< `integer`
  kText,     ///< `text`
  kBytes,    ///< `text`; also integers of more than 64 bits, little-endian
  kTuple,    ///< `items`
  kList,     ///< `items`
  kDict,     ///< `items`: key, value, key, value, ...
  kGlobal,   ///< `integer`: its row in the table of known names, or kUnknownName, whose `text` is
             ///< the name and whose `items` hold the module
  kStorage,  ///< `text`: key; `dtype`; `integer`: elements
  kTensor,   ///< `items`: storage, tuple of sizes, tuple of strides; `integer`: offset in elements
  kOpaque    ///< `integer`: the kGlobal that made it, or kUnknownName; `items`: what it was made of
};

/// PickleObject::integer of names that the table does not have.
inline constexpr int64_t kUnknownName = -1;

/// One object. Objects refer to each other by number, so that cycles and depth do no harm.
struct PickleObject {
  PickleKind kind = PickleKind::kOther;
  torch::Dtype dtype = torch::kFloat32;
  int64_t integer = 0;
  std::string_view text = {};  ///< into the pickle
  std::vector<uint32_t> items = {};
};

/// The objects of a pickle.
struct Pickle {
  std::vector<PickleObject> objects;
  uint32_t root = 0;
  size_t bytes = 0;  ///< of the whole pickle

  const PickleObject& at(uint32_t number) const { return objects[number]; }
  /// "MODULE.NAME" of the class or function that made an opaque object, for messages.
  std::string maker(const PickleObject& opaque) const;
};

/// Reads the pickle at the front of `data`, which must outlive the result. Throws InputError that
/// names `where`: cut off, damaged, instructions that no state dict has.
Pickle read_pickle(std::string_view data, const std::string& where);

}  // namespace softmoe
