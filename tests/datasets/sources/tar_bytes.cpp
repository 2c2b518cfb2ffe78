#include "datasets/sources/tar_bytes.h"

#include <fmt/format.h>

#include <stdexcept>

namespace softmoe::test {
namespace {

constexpr size_t kBlock = 512;

std::string padded(std::string bytes) {
  bytes.resize((bytes.size() + kBlock - 1) / kBlock * kBlock, '\0');
  return bytes;
}

/// A header and the bytes behind it.
std::string tar_record(const std::string& name, char kind, const std::string& bytes) {
  std::string header(kBlock, '\0');
  const auto put = [&](size_t place, const std::string& text) {
    header.replace(place, text.size(), text);
  };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", bytes.size()));
  put(136, "00000000000");
  put(148, "        ");
  put(156, std::string(1, kind));
  put(257, std::string("ustar\0", 6) + "00");
  unsigned sum = 0;
  for (const char byte : header) {
    sum += static_cast<unsigned char>(byte);
  }
  put(148, fmt::format("{:06o}", sum) + std::string("\0 ", 2));
  return header + padded(bytes);
}

/// "27 path=..." whose number is the length of it all.
std::string pax_path(const std::string& name) {
  const auto rest = " path=" + name + "\n";
  auto length = rest.size();
  while (length != std::to_string(length).size() + rest.size()) {
    length = std::to_string(length).size() + rest.size();
  }
  return std::to_string(length) + rest;
}

}  // namespace

std::string tar_bytes(const std::vector<std::pair<std::string, std::string>>& members,
                      TarStyle style) {
  std::string bytes;
  for (const auto& [name, content] : members) {
    if (style == TarStyle::kUstar && name.size() > 100) {
      throw std::logic_error("a long name in the header");
    }
    if (style == TarStyle::kGnu) {
      bytes += tar_record("././@LongLink", 'L', name + '\0');
    } else if (style == TarStyle::kPax) {
      bytes += tar_record("PaxHeaders/x", 'x', pax_path(name));
    }
    bytes += tar_record(name.substr(0, 99), '0', content);
  }
  return bytes + std::string(2 * kBlock, '\0');
}

}  // namespace softmoe::test
