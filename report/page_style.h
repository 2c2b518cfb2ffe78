#pragma once
/// How the page looks: colours for light, dark and print, type, widths.

#include <string>

namespace softmoe::report {

/// The style sheet of the page and its drawings.
const std::string& page_style();

}  // namespace softmoe::report
