"""Draws what compare.py measured.

    python3 bench/peers/chart.py FILE.json FILE.svg

One group of bars for each model and batch size: images per second as multiples of the best peer's,
in bf16. Within softmoe's bar: how much of the machine's limit it reaches.
"""

import json
import pathlib
import statistics
import sys
from xml.sax.saxutils import escape

COLOURS = {"softmoe": "#1f5fa8", "openvino": "#e08e2b", "onnxruntime": "#8a6fb0",
           "torch_compile": "#c0504d", "torch_eager": "#9a9a9a"}
NAMES = {"softmoe": "softmoe", "openvino": "OpenVINO", "onnxruntime": "ONNX Runtime",
         "torch_compile": "torch.compile", "torch_eager": "PyTorch eager"}
LEFT, RIGHT, TOP = 190, 250, 64
UNIT = 260  # pixels of the best peer's speed
BAR, GAP = 13, 16


def groups_of(records):
    """Records by model, cell and batch size, in the order of the file, softmoe in the cell's dtype
    alone."""
    groups = {}
    for record in records:
        if "failure" not in record and record["dtype"] == record["cell"]:
            key = (record["model"], record["cell"], record["batch_size"])
            groups.setdefault(key, []).append(record)
    return {key: group for key, group in groups.items()
            if any(record["contender"] != "softmoe" for record in group)}


def text(x, y, words, anchor="start", size=12, weight="normal", colour="#222"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{colour}">{escape(words)}</text>')


def bar(x, y, width, colour):
    return f'<rect x="{x}" y="{y:.1f}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'


def draw_group(key, group, top):
    model, dtype, batch = key
    rows = [text(LEFT - 10, top + 11, model, "end", weight="bold"),
            text(LEFT - 10, top + 26, f"{dtype}, batch {batch}", "end", 11, colour="#555")]
    for index, record in enumerate(group):
        y = top + index * BAR
        ratio = record["ratio_to_best_peer"]
        rows.append(bar(LEFT, y, ratio * UNIT, COLOURS[record["contender"]]))
        label = f"{statistics.median(record['images_per_second']):.1f} img/s"
        if "bound_share" in record:
            label += (f", {record['matmul_share']:.0%} of matmul peak, "
                      f"{record['memory_share']:.0%} of memory")
        rows.append(text(LEFT + ratio * UNIT + 6, y + 10, label, size=11))
    return rows


def draw(records):
    groups = groups_of(records)
    widest = max(record["ratio_to_best_peer"] for group in groups.values() for record in group)
    width = LEFT + widest * UNIT + RIGHT
    rows = [text(16, 24, "Images per second, as multiples of the best peer's", size=15,
                 weight="bold")]
    x = 16
    shown = {record["contender"] for group in groups.values() for record in group}
    for name in [name for name in COLOURS if name in shown]:
        rows += [bar(x, 36, BAR - 2, COLOURS[name]), text(x + 16, 46, NAMES[name])]
        x += 30 + 8 * len(NAMES[name])
    top = TOP
    for key, group in groups.items():
        rows += draw_group(key, group, top)
        top += max(len(group) * BAR, 30) + GAP
    line = LEFT + UNIT
    rows.append(f'<line x1="{line}" y1="{TOP - 4}" x2="{line}" y2="{top - GAP + 4}" '
                'stroke="#222" stroke-dasharray="3 3"/>')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{top:.0f}" '
            f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(rows) + "\n</svg>\n")


def main():
    source, target = map(pathlib.Path, sys.argv[1:3])
    target.write_text(draw(json.loads(source.read_text())["records"]))


if __name__ == "__main__":
    main()
