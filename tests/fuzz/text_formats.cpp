#include <stdexcept>

#include "core/toml.h"
#include "fuzz/format_lists.h"
#include "io/bounded_json.h"

namespace softmoe::fuzz {
namespace {

namespace fs = std::filesystem;

/// Compares by their texts, too: NaN differs from itself.
bool same_value(const Json& first, const Json& second) {
  return first == second || json_text(first) == json_text(second);
}

/// Reads the values of a config file, writes each and reads it again.
void read_toml(const fs::path& path) {
  for (const auto& entry : parse_toml(file_text(path), path.string())) {
    const std::string line = toml_line(entry.name, entry.value);
    const auto again = parse_toml(line, path.string());
    if (again.size() != 1 || again[0].name != entry.name ||
        !same_value(again[0].value, entry.value)) {
      throw std::runtime_error("toml_line() wrote what does not read back: " + line);
    }
  }
}

std::vector<std::string> toml_seeds() {
  return {
      "# run 2\nlr = 1e-3\nsteps = 1_000\nname = \"a \\u00e4\\t#1\"\npath = 'C:\\x'\n"
      "bytes = { hex = \"636166e9\" }\nsizes = [ 16, 0x1f, 0o17, 0b11, ]\nema = true\n",
      "[train.data]\ndays = [2026-11-29, 2026-11-29T10:11:12.5+01:00, 23:59:59]\n"
      "a.b.\"c d\" = { x = 1, y = [nan, -inf, +0.5] }\n[[run]]\nn = 1\n[[run]]\nn = 2\n",
      "text = \"\"\"\none \\\n  two\"\"\"\nraw = '''a\n'b'\n'''\nempty = []\n\"\" = ''\n"};
}

/// Both readers, with and without the order of keys, must agree, and what is written reads back.
void read_json(const fs::path& path) {
  const std::string text = file_text(path);
  const Json value = parse_json(text, path.string());
  const Json sorted = parse_sorted_json(text, path.string());
  if (nlohmann::json(value) != nlohmann::json(sorted)) {
    throw std::runtime_error("two values of one text: " + json_text(value) + " and " +
                             json_text(sorted));
  }
  if (!same_value(parse_json(json_text(value), path.string()), value)) {
    throw std::runtime_error("what is written does not read back: " + json_text(value));
  }
}

std::vector<std::string> json_seeds() {
  return {R"({"model": {"dim": 64, "eps": 1e-6, "names": ["a", "\u00e4\ud83d\ude00"]}, "x": null})",
          R"([[[-0.5, 1E+300, 18446744073709551615, -9223372036854775808], {}], true, ""])"};
}

}  // namespace

std::vector<Format> text_formats() {
  return {
      {"toml", "x.toml", prepare_nothing, read_toml, {{toml_seeds, write_bytes}}},
      {"json", "x.json", prepare_nothing, read_json, {{json_seeds, write_bytes}}},
  };
}

}  // namespace softmoe::fuzz
