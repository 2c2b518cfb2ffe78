"""Draws what compare.py measured of inference, and prints it as tables in Markdown.

    python3 bench/peers/chart.py FILE.json FILE.svg

One group of bars for each model, dtype and batch size: images per second as multiples of the best
peer's. On the right: how much of the machine's limits softmoe reaches.
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
LEFT, TOP = 190, 64
LABEL = 90  # pixels for images per second behind a bar
SHARE, SHARE_NAME = 170, 60  # pixels of a whole limit, and of its name and percentage
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
            f'font-weight="{weight}" fill="{colour}" stroke="white" stroke-width="3" '
            f'paint-order="stroke">{escape(words)}</text>')


def bar(x, y, width, colour):
    return f'<rect x="{x}" y="{y:.1f}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'


def draw_shares(record, left, top):
    """Bars for the shares of matmul peak and memory bandwidth, each in a frame of the whole."""
    rows = []
    for index, (name, share) in enumerate((("matmul", record["matmul_share"]),
                                           ("memory", record["memory_share"]))):
        y = top + index * (BAR + 2)
        rows += [text(left + SHARE_NAME - 8, y + 10, name, "end", 11, colour="#555"),
                 bar(left + SHARE_NAME, y, min(share, 1) * SHARE, "#7fa3cc"),
                 f'<rect x="{left + SHARE_NAME}" y="{y:.1f}" width="{SHARE}" height="{BAR - 2}" '
                 'fill="none" stroke="#999"/>',
                 text(left + SHARE_NAME + SHARE + 8, y + 10, f"{share:.0%}", size=11)]
    return rows


def draw_group(key, group, top, right):
    model, dtype, batch = key
    rows = [text(LEFT - 10, top + 11, model, "end", weight="bold"),
            text(LEFT - 10, top + 26, f"{dtype}, batch {batch}", "end", 11, colour="#555")]
    for index, record in enumerate(group):
        y = top + index * BAR
        ratio = record["ratio_to_best_peer"]
        rows += [bar(LEFT, y, ratio * UNIT, COLOURS[record["contender"]]),
                 text(LEFT + ratio * UNIT + 6, y + 10,
                      f"{statistics.median(record['images_per_second']):.3g} img/s", size=11)]
        if "matmul_share" in record:
            rows += draw_shares(record, right, top)
    return rows


def draw(records):
    groups = groups_of(records)
    widest = max(record["ratio_to_best_peer"] for group in groups.values() for record in group)
    right = LEFT + widest * UNIT + LABEL
    width = right + SHARE_NAME + SHARE + SHARE_NAME
    height = TOP + sum(max(len(group) * BAR, 30) + GAP for group in groups.values())
    line = LEFT + UNIT
    rows = [text(16, 24, "Images per second, as multiples of the best peer's", size=15,
                 weight="bold"),
            text(right + SHARE_NAME, 46, "softmoe's share of the machine's limits"),
            f'<line x1="{line}" y1="{TOP - 4}" x2="{line}" y2="{height - GAP + 4}" '
            'stroke="#222" stroke-dasharray="3 3"/>']
    x = 16
    shown = {record["contender"] for group in groups.values() for record in group}
    for name in [name for name in COLOURS if name in shown]:
        rows += [bar(x, 36, BAR - 2, COLOURS[name]), text(x + 16, 46, NAMES[name])]
        x += 30 + 8 * len(NAMES[name])
    top = TOP
    for key, group in groups.items():
        rows += draw_group(key, group, top, right)
        top += max(len(group) * BAR, 30) + GAP
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'font-family="sans-serif"><rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(rows) + "\n</svg>\n")


def rate(record):
    """Median and ends of the rounds."""
    if record is None:
        return "–"
    if "failure" in record:
        return "fails"
    rates = sorted(record["images_per_second"])
    digits = 0 if rates[0] >= 100 else 1 if rates[0] >= 10 else 2
    median, low, high = (f"{value:.{digits}f}" for value in
                           (statistics.median(rates), rates[0], rates[-1]))
    return f"{median} ({low}-{high})"


def table(records, dtype):
    """All contenders of the cells of `dtype` as Markdown."""
    cells = {}
    for record in records:
        if record["cell"] == dtype:
            column = (record["contender"], record["dtype"])
            cells.setdefault((record["model"], record["batch_size"]), {})[column] = record
    columns = dict.fromkeys(column for cell in cells.values() for column in cell)
    names = [NAMES[name] + ("" if number == dtype else f" {number}") for name, number in columns]
    rows = ["| model | batch | " + " | ".join(names) + " | x best peer | matmul peak | memory | bound |",
            "|---|" + "---:|" * (len(names) + 5)]
    for (model, batch), cell in cells.items():
        own = cell[("softmoe", dtype)]
        ratio = f"{own['ratio_to_best_peer']:.2f}" if "ratio_to_best_peer" in own else "–"
        shares = " | ".join(f"{own[name]:.0%}" for name in
                            ("matmul_share", "memory_share", "bound_share"))
        rates = " | ".join(rate(cell.get(column)) for column in columns)
        rows.append(f"| {model} | {batch} | {rates} | {ratio} | {shares} |")
    return "\n".join(rows)


def main():
    source, target = map(pathlib.Path, sys.argv[1:3])
    records = [record for record in json.loads(source.read_text())["records"]
               if not record["cell"].startswith("train ")]
    target.write_text(draw(records))
    for dtype in dict.fromkeys(record["cell"] for record in records):
        print(f"{dtype}:\n\n{table(records, dtype)}\n")


if __name__ == "__main__":
    main()
