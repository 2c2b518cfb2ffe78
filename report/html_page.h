#pragma once
/// One HTML page that needs no other file and no script.

#include <cstdint>
#include <string>
#include <vector>

#include "report/table.h"

namespace softmoe::report {

/// An important number, shown at the top of the page.
struct Headline {
  std::string value;    ///< "5.7x"
  std::string meaning;  ///< what the number is
  std::string context;  ///< what to compare the number with; may be empty
};

/// One part of the page.
class Section {
 public:
  /// `id` is the anchor, unique on the page; `lede` a sentence that introduces the section.
  Section(std::string id, std::string title, std::string lede = "");

  void add_heading(const std::string& text);
  void add_paragraph(const std::string& text);
  void add_table(const Table& table);
  /// Small tables, side by side if the screen is wide enough.
  void add_tables(const std::vector<Table>& tables);
  void add_headlines(const std::vector<Headline>& headlines);
  /// Keys of the series that the figures below show.
  void add_legend(const std::vector<std::pair<std::string, int>>& labels_and_colors);
  /// Drawings, side by side if the screen is wide enough; drawings without content are left out.
  struct Figure {
    std::string title;
    std::string content;  ///< SVG or other HTML
    std::string caption{};
  };
  void add_figures(const std::vector<Figure>& figures, bool wide = false);
  /// Ready HTML.
  void add_html(const std::string& html) { body_ += html; }
  /// HTML that is hidden until the reader clicks on `summary`.
  void add_details(const std::string& summary, const std::string& html);

  bool empty() const { return body_.empty(); }
  const std::string& id() const { return id_; }
  const std::string& title() const { return title_; }
  std::string html() const;

 private:
  std::string id_;
  std::string title_;
  std::string lede_;
  std::string body_;
};

/// The whole page; empty sections are left out.
std::string page_html(const std::string& title, const std::string& subtitle,
                      const std::vector<Section>& sections);

/// An image as an <img> with its bytes inside. `media_type`: "image/png".
std::string embedded_image_html(const std::string& bytes, const std::string& media_type,
                                const std::string& alternative);

}  // namespace softmoe::report
