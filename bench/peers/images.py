"""Training images per second, from JPEG files to batches of floats, beside torchvision and OpenCV.

    .deps/peers/bin/python3 bench/peers/images.py [--size 500 375] [--quality 90] [--images 512]
        [--folder FOLDER] [--workers 2] [--batch 64] [--rounds 5] [--seconds 5] [--build build]

Every contender reads the same files, crops a random box (8 to 100 % of the area, 3/4 to 4/3), resizes
it to 224 px, mirrors half of the images and normalises them. `pillow` is torchvision's
RandomResizedCrop of a Pillow image in a DataLoader, `opencv` cv2.imread, a slice and cv2.resize in a
DataLoader. They take turns on one machine; a line says the images per second, as the median and
the ends of the rounds, and the images per second of processor time (of all processes and threads of a
contender), which other work on the machine changes less, with its ratios to both peers. Without --folder, pictures of noise with the spectrum of photographs (1/f) are
made, as JPEG files with chroma of half the size.

scripts/peers.sh fetches the peers; image_worker is a target of the build.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import compare

SIDE = 224
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def make_pictures(folder, count, width, height, quality):
    import numpy as np
    from PIL import Image
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = 1
    for number in range(count):
        # One picture of light and two, fainter, of color.
        planes = []
        for strength in (55, 20, 20):
            noise = np.fft.rfft2(random.standard_normal((height, width))) / frequency
            noise[0, 0] = 0
            plane = np.fft.irfft2(noise, (height, width))
            planes.append(strength * plane / plane.std())
        light, red, blue = planes
        pixels = np.stack([light + red, light - (red + blue) / 2, light + blue], -1) + 120
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        image.save(folder / f"{number:05}.jpg", quality=quality, subsampling="4:2:0")


def pillow_set(files):
    from PIL import Image
    from torchvision import transforms
    transform = transforms.Compose([
        transforms.RandomResizedCrop(SIDE), transforms.RandomHorizontalFlip(),
        transforms.ToTensor(), transforms.Normalize(MEAN, STD)])

    def load(path):
        with open(path, "rb") as file:
            return transform(Image.open(file).convert("RGB"))
    return load


def opencv_set(files):
    import cv2
    import numpy as np
    import torch
    from torchvision.transforms import RandomResizedCrop
    cv2.setNumThreads(0)
    scale = np.float32(1) / (255 * np.array(STD, np.float32))
    offset = np.array(MEAN, np.float32) / np.array(STD, np.float32)

    def load(path):
        image = cv2.imread(path)
        shape = torch.empty(3, *image.shape[:2], device="meta")
        top, left, height, width = RandomResizedCrop.get_params(shape, (0.08, 1), (3 / 4, 4 / 3))
        image = cv2.resize(image[top:top + height, left:left + width], (SIDE, SIDE),
                           interpolation=cv2.INTER_LINEAR)
        if torch.rand(()) < 0.5:
            image = image[:, ::-1]
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2RGB)
        return torch.from_numpy((image * scale - offset).transpose(2, 0, 1).copy())
    return load


def serve(kind, folder, workers, batch):
    """Answers "go SECONDS" with images per second, as bench/take_turns.h does."""
    import torch
    torch.set_num_threads(1)
    files = sorted(str(path) for path in pathlib.Path(folder).rglob("*.jpg"))
    load = {"pillow": pillow_set, "opencv": opencv_set}[kind](files)

    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return len(files)

        def __getitem__(self, index):
            return load(files[index])

    loader = torch.utils.data.DataLoader(Images(), batch, shuffle=True, num_workers=workers,
                                         drop_last=True, persistent_workers=workers > 0)

    def batches():
        while True:
            yield from loader
    source = batches()
    next(source)
    print(json.dumps({"images": len(files)}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        images = 0
        while time.perf_counter() - start < float(line.split()[1]):
            images += len(next(source))
        print(json.dumps(images / (time.perf_counter() - start)), flush=True)


def processor_seconds(root):
    """Of a process and all that it has started."""
    parents, times = {}, {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        process = int(path.parent.name)
        parents[process] = int(fields[1])
        times[process] = int(fields[11]) + int(fields[12])
    family = {root}
    while more := {p for p, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(times.get(p, 0) for p in family) / os.sysconf("SC_CLK_TCK")


def measure(contender, seconds):
    """A turn of a contender; returns the images."""
    start = time.perf_counter()
    contender.measure(seconds)
    return 0 if contender.failure else contender.rates[-1] * (time.perf_counter() - start)


def main():
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=[500, 375], metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--quality", type=int, default=90)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--build", type=pathlib.Path, default="build")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.folder
        if folder is None:
            folder = pathlib.Path(made)
            make_pictures(folder / "class", options.images, *options.size, options.quality)
        files = list(folder.rglob("*.jpg"))
        print(f"{len(files)} files of {sum(f.stat().st_size for f in files) / len(files) / 1e3:.0f} "
              f"kB, {options.workers} workers")
        shared = [str(folder), str(options.workers), str(options.batch)]
        contenders = [
            compare.Contender(f"softmoe {decoding}", "",
                              [options.build / "image_worker", *shared, decoding])
            for decoding in ("full", "crop", "scaled")]
        contenders += [
            compare.Contender(kind, "", [sys.executable, __file__, "--serve", kind, *shared])
            for kind in ("pillow", "opencv")]
        before = {c.name: processor_seconds(c.process.pid) for c in contenders}
        images = dict.fromkeys(before, 0)
        for _ in range(options.rounds):
            for contender in contenders:
                if not contender.failure:
                    images[contender.name] += measure(contender, options.seconds)
        used = {c.name: processor_seconds(c.process.pid) - before[c.name] for c in contenders}
        for contender in contenders:
            contender.close()
            if contender.failure:
                print(f"{contender.name:15} {contender.failure}")
                continue
            rates = contender.rates
            own = images[contender.name] / used[contender.name]
            ratios = "".join(f"  {own * used[c.name] / images[c.name]:.2f} x {c.name}"
                             for c in contenders[3:] if not c.failure)
            print(f"{contender.name:15} {statistics.median(rates):6.0f} img/s ({min(rates):.0f} - "
                  f"{max(rates):.0f}), {own:5.0f} per processor second{ratios}")


if __name__ == "__main__":
    main()
