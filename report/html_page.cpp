#include "report/html_page.h"

#include <fmt/format.h>

#include <utility>

#include "core/base64.h"
#include "report/page_style.h"
#include "report/svg_parts.h"

namespace softmoe::report {

Section::Section(std::string id, std::string title, std::string lede)
    : id_(std::move(id)), title_(std::move(title)), lede_(std::move(lede)) {}

void Section::add_heading(const std::string& text) {
  body_ += "<h3>" + escape_html(text) + "</h3>\n";
}

void Section::add_paragraph(const std::string& text) {
  body_ += "<p>" + escape_html(text) + "</p>\n";
}

void Section::add_table(const Table& table) {
  if (!table.rows.empty()) {
    body_ += table_html(table);
  }
}

void Section::add_tables(const std::vector<Table>& tables) {
  if (tables.empty()) {
    return;
  }
  body_ += "<div class=\"tables\">\n";
  for (const auto& table : tables) {
    body_ += "<div>" + table_html(table) + "</div>\n";
  }
  body_ += "</div>\n";
}

void Section::add_headlines(const std::vector<Headline>& headlines) {
  if (headlines.empty()) {
    return;
  }
  body_ += "<div class=\"headlines\">\n";
  for (const auto& headline : headlines) {
    body_ += fmt::format(
        "<div class=\"headline\"><div class=\"big\">{}</div><div>{}</div>"
        "<div class=\"context\">{}</div></div>\n",
        escape_html(headline.value), escape_html(headline.meaning), escape_html(headline.context));
  }
  body_ += "</div>\n";
}

void Section::add_legend(const std::vector<std::pair<std::string, int>>& labels_and_colors) {
  if (labels_and_colors.empty()) {
    return;
  }
  body_ += "<ul class=\"legend\">\n";
  for (const auto& [label, color] : labels_and_colors) {
    body_ += "<li>" + legend_marker_svg(color) + escape_html(label) + "</li>\n";
  }
  body_ += "</ul>\n";
}

void Section::add_figures(const std::vector<Figure>& figures, bool wide) {
  std::string html;
  for (const auto& figure : figures) {
    if (figure.content.empty()) {
      continue;
    }
    html += "<figure>";
    if (!figure.title.empty()) {
      html += "<h4>" + escape_html(figure.title) + "</h4>";
    }
    html += figure.content;
    if (!figure.caption.empty()) {
      html += "<figcaption>" + escape_html(figure.caption) + "</figcaption>";
    }
    html += "</figure>\n";
  }
  if (!html.empty()) {
    body_ += fmt::format("<div class=\"{}\">\n{}</div>\n", wide ? "figures wide" : "figures", html);
  }
}

void Section::add_details(const std::string& summary, const std::string& html) {
  body_ += "<details><summary>" + escape_html(summary) + "</summary>\n" + html + "</details>\n";
}

std::string Section::html() const {
  std::string text = fmt::format("<section id=\"{}\">\n<h2>{}</h2>\n", id_, escape_html(title_));
  text += lede_.empty() ? "" : "<p class=\"lede\">" + escape_html(lede_) + "</p>\n";
  return text + body_ + "</section>\n";
}

std::string page_html(const std::string& title, const std::string& subtitle,
                      const std::vector<Section>& sections) {
  std::string links;
  std::string body;
  for (const auto& section : sections) {
    if (!section.empty()) {
      links += fmt::format("<a href=\"#{}\">{}</a>\n", section.id(), escape_html(section.title()));
      body += section.html();
    }
  }
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<title>{0}</title>\n"
      "<style>\n{1}</style>\n</head>\n<body>\n<header>\n<h1>{0}</h1>\n<p>{2}</p>\n"
      "<nav>\n{3}</nav>\n</header>\n<main>\n{4}</main>\n</body>\n</html>\n",
      escape_html(title), page_style(), escape_html(subtitle), links, body);
}

std::string embedded_image_html(const std::string& bytes, const std::string& media_type,
                                const std::string& alternative) {
  return fmt::format("<img src=\"data:{};base64,{}\" alt=\"{}\">", media_type, to_base64(bytes),
                     escape_html(alternative));
}

}  // namespace softmoe::report
