#!/usr/bin/env python3
"""Draws docs/folders.svg: the folders of the source tree and which of them include which.

    scripts/draw_folders.py            writes the picture
    scripts/draw_folders.py --check    fails if the picture is not current

Reads the #include lines of all sources, and the descriptions of the folders in CONTRIBUTING.md.
Arrows that follow from other arrows are left out.
"""

import functools
import itertools
import pathlib
import re
import sys
import textwrap
from xml.sax.saxutils import escape

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOT_DRAWN = {"bench", "tests"}  # they may include everything
BOX = (184, 70)  # width and height
GAP = (26, 46)  # between boxes of a layer, between layers
MARGIN = 24
HEAD = 58


def read_folders():
    """Name -> (description, names of the folders that it includes)."""
    names = {path.parent.name for path in ROOT.glob("*/CMakeLists.txt")} - NOT_DRAWN
    table = (ROOT / "CONTRIBUTING.md").read_text()
    folders = {}
    for name in sorted(names):
        row = re.search(rf"^\| `{name}/` \| (.*?) \|", table, re.M)
        if row is None:
            sys.exit(f"draw_folders: CONTRIBUTING.md does not describe {name}/")
        included = set()
        for source in (ROOT / name).rglob("*"):
            if source.suffix in (".h", ".cpp", ".cu"):
                text = source.read_text()
                included |= set(re.findall(r'^\s*#include "(\w+)/[^"]+\.h"', text, re.M))
        folders[name] = (row.group(1), included & names - {name})
    return folders


def reduced(includes):
    """The edges that do not follow from others."""

    @functools.cache
    def reach(name):
        return includes[name].union(*map(reach, includes[name]))

    return sorted(
        (upper, lower)
        for upper in includes
        for lower in includes[upper]
        if not any(lower in reach(other) for other in includes[upper] - {lower})
    )


def layers_of(names, edges):
    """Layer by name, 0 at the bottom, such that all arrows go down and are short."""
    layer = {name: 0 for name in names}
    for _ in names:
        for upper, lower in edges:
            layer[upper] = max(layer[upper], layer[lower] + 1)
    # A folder moves up if it has at least as many arrows from above as to folders below.
    for _ in names:
        for name in names:
            above = [layer[upper] for upper, lower in edges if lower == name]
            below = [lower for upper, lower in edges if upper == name]
            if above and len(above) >= len(below):
                layer[name] = min(above) - 1
    return layer


def placed(names, edges):
    """Rows of nodes from top to bottom, and each arrow as a list of nodes.

    An arrow over several layers passes through nodes (upper, lower, layer) of its own.
    """
    layer = layers_of(names, edges)
    height = max(layer.values())
    rows = [[] for _ in range(height + 1)]
    for name in names:
        rows[height - layer[name]].append(name)
    paths = []
    for upper, lower in edges:
        between = [(upper, lower, at) for at in range(layer[upper] - 1, layer[lower], -1)]
        for node in between:
            rows[height - node[2]].append(node)
        paths.append([upper, *between, lower])
    links = [pair for path in paths for pair in itertools.pairwise(path)]
    for turn in range(24):
        order = range(1, len(rows)) if turn % 2 == 0 else range(len(rows) - 2, -1, -1)
        for row in order:
            other = rows[row - 1] if turn % 2 == 0 else rows[row + 1]
            place = {node: index / max(1, len(other) - 1) for index, node in enumerate(other)}

            def weight(node):
                ends = [b if a == node else a for a, b in links if node in (a, b)]
                places = [place[end] for end in ends if end in place]
                return sum(places) / len(places) if places else 0.5

            rows[row].sort(key=weight)
    return rows, paths


def node_width(node):
    return BOX[0] if isinstance(node, str) else 16


def centres(rows):
    """The middle of each node, rows centred; the size of the drawing."""
    widths = [sum(map(node_width, row)) + GAP[0] * (len(row) - 1) for row in rows]
    width = max(widths) + 2 * MARGIN
    middle = {}
    for index, row in enumerate(rows):
        x = (width - widths[index]) / 2
        y = HEAD + index * (BOX[1] + GAP[1]) + BOX[1] / 2
        for node in row:
            middle[node] = (x + node_width(node) / 2, y)
            x += node_width(node) + GAP[0]
    return middle, width, HEAD + len(rows) * (BOX[1] + GAP[1]) - GAP[1] + MARGIN


def arrow(path, middle):
    points = []
    for index, node in enumerate(path):
        x, y = middle[node]
        half = BOX[1] / 2
        if index > 0:
            points.append((x, y - half))
        if index < len(path) - 1:
            points.append((x, y + half))
    text = f"M{points[0][0]:.0f} {points[0][1]:.0f}"
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        bend = (y0 + y1) / 2
        text += f"C{x0:.0f} {bend:.0f} {x1:.0f} {bend:.0f} {x1:.0f} {y1:.0f}"
    return f'<path d="{text}" fill="none" stroke="#6b7a90" stroke-width="1.3" marker-end="url(#a)"/>'


def box(name, description, x, y):
    short = re.sub(r"\([^)]*\)", "", description.split(";")[0]).replace("`", "")
    lines = textwrap.wrap(re.sub(r"\s+([,.])", r"\1", " ".join(short.split())), 33)
    if len(lines) > 3:
        lines = lines[:2] + [textwrap.shorten(" ".join(lines[2:]), 32, placeholder=" ...")]
    left, top = x - BOX[0] / 2, y - BOX[1] / 2
    text = [
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="8" '
        'fill="#e3ebf6" stroke="#33415a" stroke-width="1.2"/>',
        f'<text x="{x:.0f}" y="{top + 20:.0f}" font-size="14" font-weight="bold" '
        f'text-anchor="middle" fill="#16202e">{name}/</text>',
    ]
    for index, line in enumerate(lines):
        text.append(
            f'<text x="{x:.0f}" y="{top + 36 + 13 * index:.0f}" font-size="10.5" '
            f'text-anchor="middle" fill="#45536a">{escape(line)}</text>'
        )
    return "\n".join(text)


def drawing(folders):
    edges = reduced({name: included for name, (_, included) in folders.items()})
    rows, paths = placed(sorted(folders), edges)
    middle, width, height = centres(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="Helvetica, Arial, sans-serif" role="img" '
        'aria-label="The folders of the tree and which of them include which">',
        '<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="6" '
        'markerHeight="6" orient="auto"><path d="M0 0L10 5L0 10z" fill="#6b7a90"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="26" font-size="16" font-weight="bold" fill="#16202e">'
        "The folders of softmoe</text>",
        f'<text x="{MARGIN}" y="44" font-size="11.5" fill="#45536a">A folder includes what its arrows '
        "lead to, and what those folders include. Only ops/ and inference/ include kernels/.</text>",
    ]
    parts += [arrow(path, middle) for path in paths]
    parts += [box(name, folders[name][0], *middle[name]) for name in sorted(folders)]
    return "\n".join([*parts, "</svg>\n"])


def main():
    picture = ROOT / "docs" / "folders.svg"
    svg = drawing(read_folders())
    if sys.argv[1:] == ["--check"]:
        if picture.read_text() != svg:
            sys.exit("docs/folders.svg is not current: run scripts/draw_folders.py")
    else:
        picture.write_text(svg)


if __name__ == "__main__":
    main()
