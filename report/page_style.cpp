#include "report/page_style.h"

#include <fmt/format.h>

#include "report/svg_parts.h"

namespace softmoe::report {
namespace {

// Series colours: hues of Okabe and Ito's colour-blind safe set, darkened or lightened until lines
// and text in them are legible on the page's background.
constexpr const char* kLightColors = R"(
  --page: #ffffff; --card: #f6f7f9; --text: #1b1f24; --soft: #5c6570; --rule: #e2e5ea;
  --grid: #e6e9ed; --bar: #7d8fa6; --track: #eceff3; --accent: #0b63a8;
  --c0: #0067a5; --c1: #c9480b; --c2: #00805f; --c3: #a8458a;
  --c4: #9a7400; --c5: #2b93d1; --c6: #6a7078; --c7: #5a41b0;
)";
constexpr const char* kDarkColors = R"(
  --page: #14171b; --card: #1d2127; --text: #e7eaee; --soft: #a0a8b3; --rule: #323841;
  --grid: #2a3038; --bar: #7f93ad; --track: #262c34; --accent: #74b9f0;
  --c0: #5fb0ee; --c1: #ff9360; --c2: #3ccca4; --c3: #ea98cb;
  --c4: #e6c24a; --c5: #a5dbfa; --c6: #abb2bb; --c7: #b9a5f7;
)";

constexpr const char* kRules = R"(* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0 auto; padding: 2.5rem clamp(1rem, 4vw, 3rem) 4rem; max-width: 72rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
h1 { font-size: clamp(1.7rem, 4.5vw, 2.4rem); line-height: 1.15; letter-spacing: -.02em; margin: 0; }
h2 { font-size: 1.45rem; letter-spacing: -.01em; line-height: 1.2; margin: 0 0 .4rem; }
h3 { font-size: 1.08rem; margin: 2rem 0 .5rem; }
h4 { font-size: .95rem; margin: 0 0 .5rem; }
p { margin: .4rem 0; max-width: 46rem; overflow-wrap: anywhere; }
header p, .lede, .note, figcaption, .context { color: var(--soft); }
header { padding-bottom: 1.2rem; }
nav { display: flex; flex-wrap: wrap; gap: .4rem; margin-top: 1rem; }
nav a { color: var(--text); text-decoration: none; border: 1px solid var(--rule); border-radius: 2rem;
  padding: .2rem .7rem; font-size: .85rem; }
nav a:hover { border-color: var(--accent); color: var(--accent); }
section { border-top: 1px solid var(--rule); padding: 2rem 0 1.4rem; }
.note, figcaption { font-size: .88rem; }
.headlines { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 1.4rem; }
.headline { flex: 1 1 11rem; background: var(--card); border-radius: .7rem; padding: 1rem 1.2rem; line-height: 1.4; }
.headline .big { font-size: 2.1rem; font-weight: 650; letter-spacing: -.02em; line-height: 1.15;
  font-variant-numeric: tabular-nums; }
.headline .context { font-size: .88rem; }
.figures { display: grid; gap: 1.6rem 2.2rem; margin: 1rem 0 1.4rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
.figures.wide { grid-template-columns: 1fr; }
figure { margin: 0; min-width: 0; max-width: 36rem; }
.wide figure { max-width: none; }
figure img { display: block; max-width: 100%; height: auto; border-radius: .4rem; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; padding: 0;
  margin: .8rem 0 .4rem; font-size: .92rem; }
.legend li { display: flex; align-items: center; overflow-wrap: anywhere; }
.key { flex: none; margin-right: .5rem; vertical-align: -.06em; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
th, td { text-align: left; padding: .32rem 1.15rem .32rem 0; border-bottom: 1px solid var(--rule);
  vertical-align: top; }
th:last-child, td:last-child { padding-right: .2rem; }
thead th { color: var(--soft); font-weight: 500; font-size: .85rem; vertical-align: bottom;
  border-bottom-color: var(--soft); }
tbody th { font-weight: 400; white-space: nowrap; }
.number { text-align: right; }
td.number { white-space: nowrap; }
thead .number { max-width: 9rem; }
strong { font-weight: 700; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: var(--accent); }
code, pre { font: .86rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre { background: var(--card); border-radius: .5rem; padding: .8rem 1rem; margin: .6rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.plot { display: block; width: 100%; height: auto; overflow: visible; }
.plot text { font-family: inherit; font-size: 12px; fill: var(--text);
  font-variant-numeric: tabular-nums; }
.plot .tick, .plot .title { fill: var(--soft); }
.plot .end { font-weight: 600; }
.plot .value { font-weight: 600; }
.plot .label { font-size: 13px; }
.grid { stroke: var(--grid); fill: none; }
.axis { stroke: var(--soft); fill: none; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; }
.faint { stroke-width: 1; opacity: .3; }
.whisker { stroke-width: 1.4; }
.dashed { stroke-dasharray: 5 4; }
.band { opacity: .13; }
.bar { fill: var(--accent); }
.reference { fill: var(--bar); }
.tables { display: flex; flex-wrap: wrap; gap: .4rem 2.5rem; }
.tables > div { min-width: 0; }
.tables table { font-size: .87rem; }
.track { fill: var(--track); }
.spread { stroke: var(--text); stroke-width: 1.3; fill: none; }
.hollow { fill: var(--page) !important; }
.cards { display: grid; gap: 1rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); }
.card { background: var(--card); border-radius: .6rem; padding: .8rem; display: flex; gap: .9rem;
  align-items: flex-start; break-inside: avoid; }
.card img, .card .missing { width: 84px; height: 84px; object-fit: contain; flex: none;
  border-radius: .3rem; background: var(--track); }
.card .small { image-rendering: pixelated; }
.card .missing { font-size: .75rem; color: var(--soft); display: grid; place-items: center;
  text-align: center; }
.card div { min-width: 0; flex: 1; }
.card .name { font-size: .8rem; color: var(--soft); overflow-wrap: anywhere; line-height: 1.3; }
.guess { font-size: .88rem; line-height: 1.35; margin-top: .3rem; overflow-wrap: anywhere; }
.guess span { float: right; font-variant-numeric: tabular-nums; padding-left: .5rem; }
.guess i { display: block; clear: both; height: 4px; border-radius: 2px; background: var(--bar); }
.first i { background: var(--accent); }
@media (max-width: 30rem) { .plot text { font-size: 13.5px; } }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  nav { display: none; }
  section { padding: 1rem 0 .5rem; }
  figure, tr, .headline { break-inside: avoid; }
  h2, h3, h4, .lede, .legend { break-after: avoid; }
  .figures { grid-template-columns: 1fr 1fr; }
  .table { overflow: visible; }
}
)";

std::string make_style() {
  std::string style = fmt::format(":root {{ color-scheme: light dark;{}}}\n", kLightColors);
  style += fmt::format("@media screen and (prefers-color-scheme: dark) {{ :root {{{}}} }}\n",
                       kDarkColors);
  style += kRules;
  for (int color = 0; color < kSeriesColors; ++color) {
    style += fmt::format(
        ".l{0} {{ stroke: var(--c{0}); }} .f{0}, .plot .t{0} {{ fill: var(--c{0}); }} "
        ".m{0} {{ fill: var(--c{0}); stroke: var(--c{0}); stroke-width: 1.2; }}\n",
        color);
  }
  return style;
}

}  // namespace

const std::string& page_style() {
  static const std::string style = make_style();
  return style;
}

}  // namespace softmoe::report
