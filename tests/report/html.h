#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace softmoe::test {

/// Whether every tag of `html` is closed in the right order and no attribute or text holds a bare
/// `<`; on failure says where it breaks.
testing::AssertionResult is_well_formed(const std::string& html);

/// The values of `attribute` of all `tag` elements whose class list contains `class_name`.
std::vector<std::string> attributes(const std::string& html, const std::string& tag,
                                    const std::string& class_name, const std::string& attribute);

/// Whether a NaN or infinity is written as a coordinate or a text.
bool shows_no_number(const std::string& html);

/// How often `part` occurs in `text`.
size_t count_of(const std::string& text, const std::string& part);

}  // namespace softmoe::test
