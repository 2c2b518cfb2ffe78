#pragma once
/// The look of the page: colours for light and dark screens and for print, fonts, widths.

#include <string>

namespace softmoe::report {

/// The style sheet of the page and its drawings.
const std::string& page_style();

}  // namespace softmoe::report
