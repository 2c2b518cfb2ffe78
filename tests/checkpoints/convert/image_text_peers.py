"""Models of open_clip and Hugging Face transformers for images and texts, with random weights, for
tests of parity.

    image_text_peers.py make FOLDER    for each case a folder with weights, config and inputs.npz,
                                       which holds `images`, `ids`, `lengths` and the outputs
                                       `image_embeds` and `text_embeds`
    image_text_peers.py check FOLDER   the models in FOLDER/<case>/back, written by this project,
                                       give the outputs of those in FOLDER/<case>

Prints the cases that were made; those of a library that is not installed are left out. The folders
in tests/fixtures/image_text were made by `make`.
"""

import json
import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np
import torch

VISION = dict(hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
              image_size=12, patch_size=4)
TEXT = dict(hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=28)
OPEN_CLIP = dict(
    embed_dim=14, quick_gelu=True,
    vision_cfg=dict(image_size=12, layers=2, width=24, head_width=8, patch_size=4, mlp_ratio=2.0),
    text_cfg=dict(context_length=9, vocab_size=37, width=16, heads=2, layers=3, mlp_ratio=1.75))
OPEN_CLIP_SIGLIP = dict(
    embed_dim=24, init_logit_bias=-10, custom_text=True,
    vision_cfg=dict(image_size=12, timm_model_name="vit_fixture_patch4_siglip_12",
                    timm_model_pretrained=False, timm_pool="map", timm_proj="none"),
    text_cfg=dict(context_length=8, vocab_size=31, width=16, heads=2, layers=3, mlp_ratio=1.75,
                  no_causal_mask=True, proj_bias=True, pool_type="last",
                  act_kwargs=dict(approximate="tanh"), norm_kwargs=dict(eps=1e-6)))


def hf_model(name):
    import transformers as t
    if name == "hf_clip":
        text = dict(TEXT, vocab_size=37, max_position_embeddings=9, eos_token_id=36,
                    bos_token_id=35, pad_token_id=0)
        return t.CLIPModel(t.CLIPConfig(vision_config=VISION, text_config=text, projection_dim=14))
    text = dict(TEXT, vocab_size=31, max_position_embeddings=8, projection_size=24)
    return t.SiglipModel(t.SiglipConfig(vision_config=VISION, text_config=text))


def register_tower():
    """A small SigLIP tower among the models of timm. No config says its heads: one per 64 channels."""
    import timm
    from timm.models.vision_transformer import VisionTransformer

    def vit_fixture_patch4_siglip_12(pretrained=False, pretrained_cfg=None,
                                     pretrained_cfg_overlay=None, **kwargs):
        kwargs.pop("cache_dir", None)
        arguments = dict(img_size=12, patch_size=4, embed_dim=24, depth=2, num_heads=1,
                         mlp_ratio=5 / 3, class_token=False, global_pool="map", num_classes=0)
        arguments.update(kwargs)
        model = VisionTransformer(**arguments)
        model.default_cfg = model.pretrained_cfg = dict(mean=(0.5,) * 3, std=(0.5,) * 3)
        return model

    vit_fixture_patch4_siglip_12.__module__ = "timm.models.vision_transformer"
    timm.models.register_model(vit_fixture_patch4_siglip_12)


def open_clip_model(name, config):
    from open_clip.model import CLIP, CustomTextCLIP
    arguments = {key: value for key, value in config.items() if key != "custom_text"}
    if name == "open_clip":
        return CLIP(**arguments)
    register_tower()
    return CustomTextCLIP(**arguments)


def randomise(model, seed):
    """No weight is zero or one, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if name.startswith("logit"):
                parameter.copy_(noise * 0.1 + (2.5 if name == "logit_scale" else -9.0))
                continue
            is_gain = parameter.dim() == 1 and "bias" not in name
            scale = 0.1 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
            parameter.copy_(noise * scale + (1.0 if is_gain else 0.0))
    return model.eval()


def inputs(name, seed):
    """Images, and texts with their lengths: CLIP's end at the largest id, SigLIP's are full."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn((3, 3, 12, 12), generator=generator)
    if "siglip" in name:
        ids = torch.randint(1, 31, (4, 8), generator=generator)
        return images, ids, torch.full((4,), 8)
    ids = torch.randint(1, 35, (4, 9), generator=generator)
    lengths = torch.tensor([9, 3, 6, 6])
    for row, length in enumerate(lengths):
        ids[row, length - 1] = 36
        ids[row, length:] = 0
    return images, ids, lengths


def embeddings(model, images, ids):
    def unit(x):
        x = getattr(x, "pooler_output", x)
        return x / x.norm(dim=-1, keepdim=True)

    with torch.no_grad():
        if hasattr(model, "get_image_features"):
            image, text = model.get_image_features(images), model.get_text_features(ids)
        else:
            image, text = model.encode_image(images), model.encode_text(ids)
    return unit(image), unit(text)


def make_case(name, folder, seed):
    os.makedirs(folder, exist_ok=True)
    if name.startswith("hf"):
        model = randomise(hf_model(name), seed)
        model.save_pretrained(folder)
    else:
        import safetensors.torch
        config = OPEN_CLIP if name == "open_clip" else OPEN_CLIP_SIGLIP
        model = randomise(open_clip_model(name, config), seed)
        safetensors.torch.save_file({key: value.contiguous()
                                     for key, value in model.state_dict().items()},
                                    os.path.join(folder, "open_clip_model.safetensors"))
        with open(os.path.join(folder, "open_clip_config.json"), "w") as file:
            json.dump(dict(model_cfg=config, preprocess_cfg=dict(mean=[0.5] * 3, std=[0.25] * 3)),
                      file, indent=2)
    images, ids, lengths = inputs(name, seed + 1)
    image, text = embeddings(model, images, ids)
    np.savez(os.path.join(folder, "inputs.npz"), images=images.numpy(), ids=ids.numpy(),
             lengths=lengths.numpy(), image_embeds=image.numpy(), text_embeds=text.numpy())


def check_case(name, folder):
    arrays = np.load(os.path.join(folder, "inputs.npz"))
    back = os.path.join(folder, "back")
    if name.startswith("hf"):
        model, info = type(hf_model(name)).from_pretrained(back, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
    else:
        import safetensors.torch
        with open(os.path.join(back, "open_clip_config.json")) as file:
            model = open_clip_model(name, json.load(file)["model_cfg"])
        model.load_state_dict(
            safetensors.torch.load_file(os.path.join(back, "open_clip_model.safetensors")))
    image, text = embeddings(model.eval(), torch.from_numpy(arrays["images"]),
                             torch.from_numpy(arrays["ids"]))
    for found, expected in ((image, "image_embeds"), (text, "text_embeds")):
        error = np.abs(found.numpy() - arrays[expected]).max()
        assert error < 1e-5, (expected, error)


def main():
    mode, root = sys.argv[1:3]
    torch.set_num_threads(2)
    failed = False
    for seed, name in enumerate(["hf_clip", "hf_siglip", "open_clip", "open_clip_siglip"]):
        folder = os.path.join(root, name)
        try:
            if mode == "make":
                make_case(name, folder, 10 * seed)
                print(name)
            elif os.path.isdir(os.path.join(folder, "back")):
                check_case(name, folder)
        except ModuleNotFoundError as missing:
            print(f"{name}: left out: {missing}", file=sys.stderr)
        except Exception as error:  # all cases are to be seen
            failed = True
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
