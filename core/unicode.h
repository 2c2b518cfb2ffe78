#pragma once
/// Names that are one to people, though their bytes differ.

#include <string>

namespace softmoe {

/// `text` in Unicode's normalisation form C: "\u00e9" may be one code point, as Linux writes it, or
/// two, as macOS does. Text that is not UTF-8 stays as it is.
std::string nfc(const std::string& text);

/// nfc() of `text` without the difference between capital and small letters, for comparing.
std::string case_folded(const std::string& text);

/// nfc() of the name of a folder or file, as valid UTF-8: other bytes become \xE9 and the like. In
/// names that hold such an escape or bytes of their own, backslashes are doubled, so that names
/// stay different.
std::string escaped_name(const std::string& name);

}  // namespace softmoe
