#include "html.h"

#include <regex>
#include <set>

namespace softmoe::test {

testing::AssertionResult is_well_formed(const std::string& html) {
  static const std::set<std::string> kVoid{"!DOCTYPE", "meta", "img"};
  std::vector<std::string> open;
  for (size_t at = html.find('<'); at != std::string::npos; at = html.find('<', at + 1)) {
    const auto end = html.find('>', at);
    const auto body = html.substr(at + 1, end - at - 1);
    if (end == std::string::npos || body.find('<') != std::string::npos) {
      return testing::AssertionFailure() << "bare < at " << html.substr(at, 80);
    }
    const bool closes = body.starts_with("/");
    const auto name = body.substr(closes ? 1 : 0, body.find_first_of(" /\n", 1) - (closes ? 1 : 0));
    if (closes && (open.empty() || open.back() != name)) {
      return testing::AssertionFailure()
             << "</" << name << "> closes " << (open.empty() ? "nothing" : open.back()) << " at "
             << html.substr(at > 80 ? at - 80 : 0, 160);
    }
    if (closes) {
      open.pop_back();
    } else if (!kVoid.contains(name) && !body.ends_with("/")) {
      open.push_back(name);
    }
    if (name == "style" && !closes) {
      at = html.find("</style>", at) - 1;  // selectors may hold >
    }
  }
  if (!open.empty()) {
    return testing::AssertionFailure() << open.back() << " is never closed";
  }
  return testing::AssertionSuccess();
}

std::vector<std::string> attributes(const std::string& html, const std::string& tag,
                                    const std::string& class_name, const std::string& attribute) {
  const std::regex element("<" + tag + " [^>]*>");
  const std::regex value("[ ]" + attribute + "=\"([^\"]*)\"");
  const std::regex classes("class=\"([^\"]*)\"");
  std::vector<std::string> found;
  for (std::sregex_iterator match(html.begin(), html.end(), element), end; match != end; ++match) {
    const auto text = match->str();
    std::smatch list;
    if (!std::regex_search(text, list, classes) ||
        (" " + list[1].str() + " ").find(" " + class_name + " ") == std::string::npos) {
      continue;
    }
    std::smatch one;
    if (std::regex_search(text, one, value)) {
      found.push_back(one[1].str());
    }
  }
  return found;
}

bool shows_no_number(const std::string& html) {
  return std::regex_search(html, std::regex("[ \">MLHV,-](nan|inf)[ \"<,LHVMZ%]"));
}

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

}  // namespace softmoe::test
