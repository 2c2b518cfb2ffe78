"""One peer in a process of its own: it loads, says that it is ready, and runs when
it is told to.

    worker.py PEER MODEL BATCH DTYPE ONNX    inference
    worker.py PEER MODEL BATCH DTYPE train   updates: forward, loss, backward, clipping, AdamW
    worker.py PEER MODEL BATCH DTYPE pairs   likewise of open_clip's model of images and texts
    worker.py PEER MODEL BATCH DTYPE texts   embeddings of texts by its text tower

Answers each line "go SECONDS" with the images, pairs or texts per second of that time; ends with its
input.
"""

import json
import os
import re
import resource
import sys
import time

THREADS = os.cpu_count()
# Models of 28 px images with one channel, as in bench/training_step.h: patch, width, heads.
SMALL = {"demo": (7, 128, 4), "p4_d192": (4, 192, 3)}
WIDTHS = {"ti": (192, 12, 3), "s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16),
          "h": (1280, 32, 16)}


def vit(base):
    from timm.models.vision_transformer import VisionTransformer

    options = dict(class_token=False, global_pool="avg", fc_norm=False)
    if base in SMALL:
        patch, dim, heads = SMALL[base]
        return VisionTransformer(img_size=28, in_chans=1, patch_size=patch, embed_dim=dim, depth=6,
                                 num_heads=heads, num_classes=395, qk_norm=True, **options)
    size = base.split("_")[1]
    dim, depth, heads = WIDTHS[size.rstrip("0123456789")]
    return VisionTransformer(patch_size=int(size.lstrip("tisblh")), embed_dim=dim, depth=depth,
                             num_heads=heads, **options)


def torch_model(name):
    """ViT as softmoe builds it: no class token, mean pooling after the last norm. The MLPs of the
    last half are layers of soft-moe-pytorch where the name ends with _<experts>e or with
    _<experts>x<slots of each>."""
    experts = re.fullmatch(r"(.*)_(\d+)(?:e|x(\d+))", name)
    model = vit(experts[1] if experts else name)
    if experts:
        from soft_moe_pytorch import SoftMoE

        depth = len(model.blocks)
        for block in model.blocks[depth - depth // 2:]:
            block.mlp = SoftMoE(dim=model.embed_dim, num_experts=int(experts[2]),
                                num_slots=int(experts[3] or 1))
    return model


def torch_runner(peer, name, batch, dtype, _onnx):
    import torch

    torch.set_num_threads(THREADS)
    number = getattr(torch, dtype)
    # Made in fp32 first, large models would not fit into memory.
    torch.set_default_dtype(number)
    model = torch_model(name).eval()
    images = torch.rand(batch, 3, 224, 224, dtype=number)
    if peer == "torch_compile":
        import torch._inductor.config

        # Freezing holds the weights several times.
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        weights = sum(value.numel() * value.element_size() for value in model.parameters())
        torch._inductor.config.freezing = 4 * weights < memory
        model = torch.compile(model)

    def run():
        with torch.inference_mode():
            model(images)

    if peer == "torch_compile":
        # Constants are folded only without autograd around the compilation.
        with torch.no_grad():
            model(images)
    return run


def training_runner(peer, name, batch, dtype, _train):
    import torch

    torch.set_num_threads(THREADS)
    model = torch_model(name).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    in_chans, size = model.patch_embed.proj.in_channels, model.patch_embed.img_size
    images = torch.rand(batch, in_chans, *size) * 2 - 1
    labels = torch.randint(model.num_classes, (batch,))
    forward = torch.compile(model) if peer == "torch_compile" else model

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return run


def open_clip_model(name):
    """open_clip's CLIP with the towers of clip_vit_<size>: its ViT-S-16, ViT-B-16, ..."""
    import open_clip

    size = name.removeprefix("clip_vit_")
    width, depth, heads = WIDTHS[size.rstrip("0123456789")]
    text_width = {384: 384, 768: 512, 1024: 768}[width]
    return open_clip.CLIP(
        embed_dim=text_width,
        vision_cfg={"image_size": 224, "layers": depth, "width": width, "head_width": width // heads,
                    "patch_size": int(size.lstrip("tisblh"))},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": text_width,
                  "heads": text_width // 64, "layers": 12})


def random_texts(batch):
    """Texts as open_clip computes them, which pads all to the context."""
    import torch

    return torch.randint(49408, (batch, 77))


def pairs_runner(peer, name, batch, dtype, _task):
    import torch
    from open_clip.loss import ClipLoss

    torch.set_num_threads(THREADS)
    model = open_clip_model(name).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    images, texts, contrastive = torch.rand(batch, 3, 224, 224) * 2 - 1, random_texts(batch), ClipLoss()
    forward = torch.compile(model) if peer == "torch_compile" else model

    def run():
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = contrastive(*forward(images, texts))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return run


def texts_runner(peer, name, batch, dtype, _task):
    import torch

    torch.set_num_threads(THREADS)
    model = open_clip_model(name).eval()
    texts = random_texts(batch)
    encode = torch.compile(model.encode_text) if peer == "torch_compile" else model.encode_text

    def run():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            encode(texts)

    return run


def openvino_runner(_peer, _name, batch, dtype, onnx):
    import numpy
    import openvino

    precision = {"float32": "f32", "bfloat16": "bf16"}[dtype]
    core = openvino.Core()
    model = core.read_model(onnx)
    model.reshape({model.inputs[0]: [batch, 3, 224, 224]})
    compiled = core.compile_model(model, "CPU", {
        "INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": THREADS})
    request = compiled.create_infer_request()
    images = numpy.random.default_rng(1).random((batch, 3, 224, 224), dtype=numpy.float32)
    return lambda: request.infer([images])


def onnxruntime_runner(_peer, _name, batch, _dtype, onnx):
    import numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    images = numpy.random.default_rng(1).random((batch, 3, 224, 224), dtype=numpy.float32)
    return lambda: session.run(None, {name: images})


RUNNERS = {"torch_eager": torch_runner, "torch_compile": torch_runner,
           "openvino": openvino_runner, "onnxruntime": onnxruntime_runner}
TASKS = {"train": training_runner, "pairs": pairs_runner, "texts": texts_runner}


def rate(run, batch, seconds):
    """Images per second of whole batches for at least `seconds`."""
    start = time.perf_counter()
    batches = 0
    while True:
        run()
        batches += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return batches * batch / elapsed


def main():
    peer, name, batch, dtype, task = sys.argv[1:6]
    runner = TASKS.get(task) or RUNNERS[peer]
    run = runner(peer, name, int(batch), dtype, task)
    run()
    run()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"ready": True, "peak_bytes": peak}), flush=True)
    for line in sys.stdin:
        print(rate(run, int(batch), float(line.split()[1])), flush=True)


if __name__ == "__main__":
    main()
