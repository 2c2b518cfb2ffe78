#pragma once
/// Files of torch.save, instruction by instruction of their pickles.

#include <cstdint>
#include <string>
#include <vector>

#include "support/zip_bytes.h"

namespace softmoe::test::pickles {

inline std::string text(const std::string& value) {
  return "X" + little_endian(value.size(), 4) + value;
}
inline std::string integer(int64_t value) {
  return "\x8a\x08" + little_endian(static_cast<uint64_t>(value), 8);
}
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<std::string>& items) {
  std::string bytes = "(";
  for (const auto& item : items) {
    bytes += item;
  }
  return bytes + "t";
}
inline std::string numbers(const std::vector<int64_t>& values) {
  std::vector<std::string> items;
  for (const int64_t value : values) {
    items.push_back(integer(value));
  }
  return tuple(items);
}
inline std::string pickle(const std::string& instructions) {
  return "\x80\x02" + instructions + ".";
}
inline std::string dict(const std::string& key, const std::string& value) {
  return "}" + text(key) + value + "s";
}

/// A reference to storage '0'.
inline std::string storage(int64_t elements, const std::string& type = "FloatStorage") {
  return tuple(
             {text("storage"), global("torch", type), text("0"), text("cpu"), integer(elements)}) +
         "Q";
}

/// A tensor on storage '0' of 6 floats.
inline std::string tensor(const std::string& sizes, const std::string& strides, int64_t offset = 0,
                          const std::string& base = storage(6)) {
  return global("torch._utils", "_rebuild_tensor_v2") +
         tuple({base, integer(offset), sizes, strides, "\x89", "}"}) + "R";
}

inline std::string six_floats() { return std::string(24, '\0'); }

/// A zip file around a pickle and storage '0'.
inline std::string zip_file(const std::string& instructions,
                            const std::string& data = six_floats()) {
  return zip_bytes({{"a/data.pkl", pickle(instructions)}, {"a/data/0", data}});
}

/// A legacy file around a pickle; `rest` follows it.
inline std::string legacy_file(const std::string& instructions, const std::string& rest,
                               const std::string& machine = "}" + text("little_endian") + "\x88" +
                                                            "s") {
  const std::string magic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 12);
  return pickle(magic) + pickle("M\xe9\x03") + pickle(machine) + pickle(instructions) + rest;
}

/// The refusal of a file that has an object instead of a state dict, up to the object's class.
inline constexpr const char* kNoStateDict =
    ": expected a state dict with tensors, as torch.save(model.state_dict(), FILE) writes it, "
    "found "
    "an object of ";

inline std::string storage_keys() { return pickle("]" + text("0") + "a"); }

}  // namespace softmoe::test::pickles
