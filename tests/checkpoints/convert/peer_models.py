"""Models of timm and Hugging Face transformers with random weights, for tests of parity.

    peer_models.py make FOLDER    for each case a folder with weights, config and images.npz, which
                                  holds `images` [batch, channels, height, width] and `outputs`
    peer_models.py check FOLDER   the models in FOLDER/<case>/back, written by this project, give
                                  the outputs of those in FOLDER/<case>
"""

import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import numpy as np
import timm
import torch
import transformers
from timm.layers import resample_abs_pos_embed, resample_patch_embed
from timm.models._hub import save_for_hf

SMALL = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=80,
             image_size=24, patch_size=8)
NARROW = dict(embed_dim=96, num_heads=3)  # heads that no rule would guess

TIMM = {
    "timm_vit_s16": ("vit_small_patch16_224", {}),
    "timm_vit_b16": ("vit_base_patch16_224", {}),
    "timm_deit_distilled": ("deit_small_distilled_patch16_224", {}),
    "timm_dinov2": ("vit_small_patch14_dinov2", dict(img_size=56)),
    "timm_dinov2_registers": ("vit_small_patch14_reg4_dinov2", dict(img_size=56)),
    "timm_dinov2_giant": ("vit_giant_patch14_dinov2", dict(img_size=56, **NARROW)),
    "timm_dinov2_giant_registers": ("vit_giant_patch14_reg4_dinov2", dict(img_size=56, **NARROW)),
    "timm_siglip": ("vit_base_patch16_siglip_224", NARROW),
    "timm_gap": ("vit_base_patch16_gap_224", NARROW),
    "timm_map": ("vit_base_patch16_224", dict(global_pool="map", reg_tokens=3, **NARROW)),
    "timm_map_prefix": ("vit_base_patch16_224", dict(global_pool="map", reg_tokens=3,
                                                     pool_include_prefix=True, **NARROW)),
    "timm_avg_prefix": ("vit_base_patch16_224", dict(global_pool="avg", pool_include_prefix=True,
                                                     **NARROW)),
    "timm_gap_no_qkv_bias": ("vit_medium_patch16_gap_240", NARROW),
    "timm_fc_norm": ("vit_base_patch16_224", dict(global_pool="avg", **NARROW)),
    "timm_clip": ("vit_base_patch32_clip_224", NARROW),
    "timm_pre_norm": ("vit_base_patch16_224", dict(pre_norm=True, **NARROW)),
    "timm_test_vit": ("test_vit", {}),
    "timm_test_vit2": ("test_vit2", {}),
    "timm_test_vit3": ("test_vit3", {}),
    "timm_clip_quick_gelu": ("vit_base_patch16_clip_quickgelu_224", NARROW),
}


def hf_case(name):
    """The class and the config of a Hugging Face case."""
    t = transformers
    dino = {key: value for key, value in SMALL.items() if key != "intermediate_size"}
    return {
        "hf_vit": (t.ViTForImageClassification, t.ViTConfig(**SMALL, num_labels=7)),
        "hf_vit_features": (t.ViTModel, t.ViTConfig(**SMALL)),
        "hf_vit_no_qkv_bias": (t.ViTForImageClassification,
                               t.ViTConfig(**SMALL, num_labels=7, qkv_bias=False)),
        "hf_deit": (t.DeiTForImageClassification, t.DeiTConfig(**SMALL, num_labels=7)),
        "hf_deit_distilled": (t.DeiTForImageClassificationWithTeacher,
                              t.DeiTConfig(**SMALL, num_labels=7)),
        "hf_dinov2": (t.Dinov2Model, t.Dinov2Config(**dino, mlp_ratio=2)),
        "hf_dinov2_registers": (t.Dinov2WithRegistersModel,
                                t.Dinov2WithRegistersConfig(**dino, mlp_ratio=2,
                                                            num_register_tokens=3)),
        "hf_dinov2_classes": (t.Dinov2ForImageClassification,
                              t.Dinov2Config(**dino, mlp_ratio=2, num_labels=7)),
        "hf_dinov2_registers_classes": (t.Dinov2WithRegistersForImageClassification,
                                        t.Dinov2WithRegistersConfig(
                                            **dino, mlp_ratio=2, num_register_tokens=3,
                                            num_labels=7)),
        "hf_dinov2_swiglu": (t.Dinov2Model,
                             t.Dinov2Config(**dino, mlp_ratio=2, use_swiglu_ffn=True)),
        "hf_dinov2_swiglu_rounded": (t.Dinov2WithRegistersForImageClassification,
                                     t.Dinov2WithRegistersConfig(
                                         **{**dino, "hidden_size": 54}, mlp_ratio=3,
                                         use_swiglu_ffn=True, num_register_tokens=3,
                                         num_labels=7)),
        "hf_siglip": (t.SiglipVisionModel, t.SiglipVisionConfig(**SMALL)),
        "hf_siglip_classes": (t.SiglipForImageClassification,
                              t.SiglipConfig(vision_config=SMALL, text_config=dict(
                                  hidden_size=16, num_hidden_layers=1, num_attention_heads=1,
                                  intermediate_size=16, vocab_size=32), num_labels=7)),
        "hf_clip": (t.CLIPVisionModelWithProjection,
                    t.CLIPVisionConfig(**SMALL, projection_dim=20)),
    }[name]


HF = ["hf_vit", "hf_vit_features", "hf_vit_no_qkv_bias", "hf_deit", "hf_deit_distilled", "hf_dinov2",
      "hf_dinov2_registers", "hf_dinov2_classes", "hf_dinov2_registers_classes",
      "hf_dinov2_swiglu", "hf_dinov2_swiglu_rounded", "hf_siglip", "hf_siglip_classes", "hf_clip"]


def randomise(model, seed):
    """No weight is zero or one, so that none can be forgotten."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_gain = parameter.dim() == 1 and not name.endswith("bias")
            scale = 0.1 if parameter.dim() == 1 else 1.5 / parameter.shape[-1] ** 0.5
            parameter.copy_(noise * scale + (1.0 if is_gain else 0.0))
    return model.eval()


def outputs(model, images):
    with torch.no_grad():
        result = model(images)
    if torch.is_tensor(result):
        return result
    for field in ("logits", "image_embeds"):
        if getattr(result, field, None) is not None:
            return getattr(result, field)
    if isinstance(model, transformers.ViTModel):
        return result.last_hidden_state[:, 0]  # the pooler is no part of ours
    return result.pooler_output


def make_case(name, folder, seed):
    if name in TIMM:
        architecture, arguments = TIMM[name]
        arguments = dict(depth=2, num_classes=9, **arguments)
        if name == "timm_siglip":
            arguments["num_classes"] = 0
        model = randomise(timm.create_model(architecture, **arguments), seed)
        size = model.patch_embed.img_size
        save_for_hf(model, folder, model_args=arguments, safe_serialization=True)
    else:
        kind, config = hf_case(name)
        model = randomise(kind(config), seed)
        size = (SMALL["image_size"],) * 2
        model.save_pretrained(folder)
        # Names in memory are others than those in the file.
        torch.save({"state_dict": {"module." + key: value
                                   for key, value in model.state_dict().items()},
                    "state_dict_ema": model.state_dict()}, os.path.join(folder, "state.pth"))
    generator = torch.Generator().manual_seed(seed + 1)
    images = torch.randn((2, 3, *size), generator=generator)
    arrays = dict(images=images, outputs=outputs(model, images))
    if name in TIMM and size[0] == 56:
        arrays["larger_patches"] = resample_patch_embed(model.patch_embed.proj.weight.data, [17, 17])
        arrays["smaller_patches"] = resample_patch_embed(model.patch_embed.proj.weight.data, [9, 9])
        prefix = 0 if model.no_embed_class else model.num_prefix_tokens
        arrays["more_positions"] = resample_abs_pos_embed(model.pos_embed.data, [6, 5],
                                                          num_prefix_tokens=prefix)
    if "timm_dinov2" in name:
        torch.save(dinov2_names(model, seed), os.path.join(folder, "dinov2.pth"))
        with torch.no_grad():
            arrays["features"] = model.forward_head(model.forward_features(images), pre_logits=True)
    np.savez(os.path.join(folder, "images.npz"),
             **{key: value.numpy() for key, value in arrays.items()})


def dinov2_names(model, seed):
    """A model of timm as facebookresearch/dinov2 saves it, which has no heads."""
    generator = torch.Generator().manual_seed(seed)
    gated = model.blocks[0].mlp.fc1.out_features != model.blocks[0].mlp.fc2.in_features
    state = {}
    for key, value in model.state_dict().items():
        key = key.replace("reg_token", "register_tokens")
        if gated:
            key = key.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
        if not key.startswith("head."):
            state[key] = value
    dim = model.embed_dim
    state["mask_token"] = torch.randn((1, dim), generator=generator)
    if model.no_embed_class:  # timm has added the position of the class token to it
        position = torch.randn((1, 1, dim), generator=generator)
        state["cls_token"] = state["cls_token"] - position
        state["pos_embed"] = torch.cat([position, state["pos_embed"]], 1)
    return state


def check_case(name, folder):
    arrays = np.load(os.path.join(folder, "images.npz"))
    back = os.path.join(folder, "back")
    if name in TIMM:
        model = timm.create_model("local-dir:" + back, pretrained=True)
    else:
        model, info = hf_case(name)[0].from_pretrained(back, output_loading_info=True)
        missing = {key for key in info["missing_keys"]
                   if "pooler" not in key and "mask_token" not in key}
        # The text tower's side of the two-tower config; the attention pool that a classifier skips.
        missing = {key for key in missing if not (name == "hf_siglip_classes" and ".head." in key)}
        assert not missing and not info["unexpected_keys"], (missing, info["unexpected_keys"])
    found = outputs(model.eval(), torch.from_numpy(arrays["images"])).numpy()
    error = np.abs(found - arrays["outputs"]).max()
    limit = 1e-5 * max(1.0, np.abs(arrays["outputs"]).max())
    assert found.shape == arrays["outputs"].shape and error < limit, error


def main():
    mode, root = sys.argv[1:3]
    torch.set_num_threads(2)
    transformers.utils.logging.disable_progress_bar()
    failed = False
    for seed, name in enumerate([*TIMM, *HF]):
        folder = os.path.join(root, name)
        try:
            if mode == "make":
                os.makedirs(folder, exist_ok=True)
                make_case(name, folder, 10 * seed)
            else:
                check_case(name, folder)
        except Exception as error:  # all cases are to be seen
            failed = True
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
