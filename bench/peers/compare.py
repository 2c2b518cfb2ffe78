"""Inference or training of softmoe beside its peers, in turns on one machine.

    .deps/peers/bin/python3 bench/peers/compare.py vit_s16 softmoe_s16_128e
        [--batches 1 8 32] [--dtypes bfloat16 float32] [--own-dtypes int8 ...]
        [--peers openvino onnxruntime torch_compile torch_eager] [--rounds 3] [--seconds 2]
        [--train | --pairs | --texts] [--tokens 77] [--avx2] [--json FILE]

Every contender lives in a process of its own and rests while another one runs; a round gives each
of them one turn. ONNX Runtime and OpenVINO get the model that `softmoe export` writes. A line says
the median and the ends of the rounds, the ratio to the best peer, and for softmoe the share of the
minimum time of the work. With --json, results are added to those that FILE has; chart.py
draws them. With --train, a batch is one update: forward, loss, backward, clipping, fused AdamW; the
peers are PyTorch's, and a line says the peak of memory. With --pairs, it is an update of a model of
images and texts such as clip_vit_s16, with --texts a pass of its text tower; the peers are
open_clip's model in PyTorch, which pads texts to 77 tokens, while softmoe's texts have --tokens.

scripts/peers.sh fetches the peers; softmoe_program, inference_worker, training_worker and pair_worker
are targets of the build.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import isa

HERE = pathlib.Path(__file__).resolve().parent
# Other dtypes are not theirs, or slower than those.
PEER_DTYPES = {"openvino": ["float32", "bfloat16"], "onnxruntime": ["float32"],
               "torch_compile": ["float32", "bfloat16"], "torch_eager": ["float32", "bfloat16"]}


class Contender:
    """A process that answers "go SECONDS" with images per second; `failure` says why it does not."""

    def __init__(self, name, dtype, command):
        self.name = name
        self.dtype = dtype
        self.rates = []
        self.failure = ""
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        self.sizes = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.process.wait()
        self.errors.seek(0)
        words = self.errors.read().strip().splitlines()
        self.failure = words[-1] if words else f"ended with status {self.process.returncode}"
        return {}

    def measure(self, seconds):
        self.process.stdin.write(f"go {seconds}\n")
        self.process.stdin.flush()
        rate = self.answer()
        if not self.failure:
            self.rates.append(rate)

    def close(self):
        self.process.kill()
        self.process.communicate()
        self.errors.close()


def export(program, model, folder):
    """The model of the zoo with random weights as ONNX; one for all cells."""
    path = folder / f"{model}.onnx"
    if not path.exists():
        subprocess.run([program, "export", model, str(path), "--untrained"], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def contenders_of(options, model, batch, dtype, folder, limits):
    own = [dtype] if dtype == "float32" else [dtype, *options.own_dtypes]
    for name in own:
        if options.task in ("pairs", "texts"):
            worker = [options.build / "pair_worker", options.task, model, str(batch), name,
                      str(options.tokens)]
        elif options.task:
            worker = [options.build / "training_worker", model, str(batch), name]
        else:
            worker = [options.build / "inference_worker", model, str(batch), name,
                      json.dumps(limits)]
        yield Contender("softmoe", name, worker)
    for name in options.peers:
        is_torch = name.startswith("torch")
        if dtype in PEER_DTYPES[name] and (is_torch or not options.task):
            task = (options.task if options.task else
                    "" if is_torch else str(export(options.build / "softmoe", model, folder)))
            yield Contender(name, dtype, [sys.executable, HERE / "worker.py", name, model,
                                          str(batch), dtype, task])


def shares(contender, batch):
    """Shares of the peak of matrix products, of memory bandwidth, and of the minimum time
    (see InferenceLimits in bench/inference_limits.h)."""
    seconds = batch / statistics.median(contender.rates)
    return {f"{share}_share": contender.sizes[f"{limit}_seconds"] / seconds
            for share, limit in (("matmul", "matmul"), ("memory", "memory"), ("bound", "min"))}


def measured_together(options, *cell):
    """All contenders of a cell after their turns, in which all of them were in memory."""
    contenders = list(contenders_of(options, *cell))
    for _ in range(options.rounds):
        for contender in contenders:
            if not contender.failure:
                contender.measure(options.seconds)
    for contender in contenders:
        contender.close()
    return contenders


def measured_alone(options, *cell):
    """The same, but a contender ends before the next one starts."""
    measured = {}
    for _ in range(options.rounds):
        for contender in contenders_of(options, *cell):
            if not contender.failure:
                contender.measure(options.seconds)
            contender.close()
            before = measured.get((contender.name, contender.dtype))
            contender.rates = (before.rates if before else []) + contender.rates
            measured[contender.name, contender.dtype] = contender
    return list(measured.values())


def measure_cell(options, model, batch, dtype, folder, limits):
    """Records of all contenders of one model, batch size and dtype."""
    measured = measured_alone if options.alone else measured_together
    contenders = measured(options, model, batch, dtype, folder, limits)
    medians = [statistics.median(c.rates) for c in contenders if c.rates and c.name != "softmoe"]
    for contender in contenders:
        record = {"model": model, "batch_size": batch,
                  "cell": f"{options.task} {dtype}".strip(),
                  "dtype": contender.dtype, "contender": contender.name}
        if contender.failure:
            yield {**record, "failure": contender.failure}
            continue
        record["images_per_second"] = contender.rates
        if options.task:
            record["peak_bytes"] = contender.sizes["peak_bytes"]
        if medians:
            record["ratio_to_best_peer"] = statistics.median(contender.rates) / max(medians)
        if contender.name == "softmoe" and not options.task:
            record.update(shares(contender, batch))
        yield record


def line_of(record):
    start = (f"{record['model']:18} {record['batch_size']:3} {record['contender']:13} "
             f"{record['dtype']:12}")
    if "failure" in record:
        return f"{start} {record['failure']}"
    rates = record["images_per_second"]
    line = (f"{start} {statistics.median(rates):8.2f} img/s "
            f"({min(rates):.2f} - {max(rates):.2f})")
    if "ratio_to_best_peer" in record:
        line += f"  {record['ratio_to_best_peer']:.2f} x the best peer"
    if "peak_bytes" in record:
        line += f"  {record['peak_bytes'] / 1e9:.2f} GB"
    if "bound_share" in record:
        line += f"  {record['bound_share']:.0%} of the bound"
    return line


def versions():
    from importlib.metadata import version

    return {name: version(name) for name in
            ("torch", "timm", "onnxruntime", "openvino", "soft-moe-pytorch", "open-clip-torch")}


def save(path, limits, records):
    """Adds the records to those of the file, in whose place they come where they are of the same."""
    def key(record):
        return [record[name] for name in ("model", "batch_size", "cell", "dtype", "contender")]

    document = {"records": []}
    if path.exists():
        document = json.loads(path.read_text())
    keys = [key(record) for record in records]
    kept = [record for record in document["records"] if key(record) not in keys]
    document = {"versions": versions(), "limits": limits, "records": kept + records}
    path.write_text(json.dumps(document, indent=1))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument("--dtypes", nargs="+", default=["bfloat16"],
                        choices=["float32", "bfloat16"])
    parser.add_argument("--own-dtypes", nargs="*", default=[], choices=["int8", "int8_experts"],
                        help="of softmoe, beside bfloat16")
    parser.add_argument("--peers", nargs="*", default=list(PEER_DTYPES),
                        choices=list(PEER_DTYPES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn, at least")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build")
    for task, meaning in (("train", "updates instead of predictions"),
                          ("pairs", "updates of images and texts"), ("texts", "texts")):
        parser.add_argument(f"--{task}", dest="task", action="store_const", const=task, default="",
                            help=meaning)
    parser.add_argument("--tokens", type=int, default=77, help="of softmoe's texts")
    parser.add_argument("--avx2", action="store_true", help="hold all contenders to AVX2")
    parser.add_argument("--alone", action="store_true",
                        help="one contender in memory at a time, started anew each round")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(options, pathlib.Path(folder))


def compare(options, folder):
    if options.avx2:
        os.environ.update(isa.held_environment(folder), SOFTMOE_ISA="avx2")
    limits = json.loads(subprocess.run([options.build / "inference_worker", "limits"], check=True,
                                       capture_output=True, text=True).stdout)
    print(f"peak of matrix products: {limits['float32'] / 1e9:.0f} GFLOP/s in fp32, "
          f"{limits['bfloat16'] / 1e9:.0f} in bf16, {limits['int8'] / 1e9:.0f} in int8; "
          f"memory {limits['bytes_per_second'] / 1e9:.0f} GB/s")
    for model in options.models:
        for dtype in options.dtypes:
            for batch in options.batches:
                records = list(measure_cell(options, model, batch, dtype, folder, limits))
                print("\n".join(line_of(record) for record in records), flush=True)
                if options.json:
                    save(options.json, limits, records)


if __name__ == "__main__":
    main()
