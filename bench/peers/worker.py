"""One peer in a process of its own: it loads, says that it is ready, and runs when
it is told to.

    worker.py PEER MODEL BATCH DTYPE ONNX

Answers each line "go SECONDS" with the images per second of that time; ends with its input.
"""

import os
import sys
import time

THREADS = os.cpu_count()
WIDTHS = {"ti": (192, 12, 3), "s": (384, 12, 6), "b": (768, 12, 12), "l": (1024, 24, 16),
          "h": (1280, 32, 16)}


def torch_model(name, number):
    """ViT with weights of dtype `number` as softmoe builds it: no class token, mean pooling after
    the last norm; the MLPs of the last half are layers of soft-moe-pytorch where the name says
    softmoe_<size>_<n>e."""
    import torch
    from timm.models.vision_transformer import VisionTransformer

    # Made in fp32 first, large models would not fit into memory.
    torch.set_default_dtype(number)

    kind, size, *experts = name.split("_")
    dim, depth, heads = WIDTHS[size.rstrip("0123456789")]
    patch = int(size.lstrip("tisblh"))
    model = VisionTransformer(patch_size=patch, embed_dim=dim, depth=depth, num_heads=heads,
                              class_token=False, global_pool="avg", fc_norm=False)
    if kind == "softmoe":
        from soft_moe_pytorch import SoftMoE

        count = int(experts[0].rstrip("e"))
        for block in model.blocks[depth - depth // 2:]:
            block.mlp = SoftMoE(dim=dim, num_experts=count, num_slots=1)
    return model.eval()


def torch_runner(peer, name, batch, dtype, _onnx):
    import torch

    torch.set_num_threads(THREADS)
    number = getattr(torch, dtype)
    model = torch_model(name, number)
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
    peer, name, batch, dtype, onnx = sys.argv[1:6]
    run = RUNNERS[peer](peer, name, int(batch), dtype, onnx)
    run()
    run()
    print('{"ready": true}', flush=True)
    for line in sys.stdin:
        print(rate(run, int(batch), float(line.split()[1])), flush=True)


if __name__ == "__main__":
    main()
