"""Small vocabularies of Hugging Face's tokenizers, and the ids that they give for texts.

    peer_tokenizers.py FOLDER    writes FOLDER/texts.json, expected.json, bpe/ (GPT-2's pairs), clip/
                                 and, if the library sentencepiece is there, siglip/
"""

import json
import logging
import os
import pathlib
import sys

logging.disable(logging.WARNING)

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import CLIPTokenizerFast

SENTENCES = """
The quick brown fox jumps over the lazy dog, and the dog doesn't mind at all.
A photo of a small cat; a picture of the large dog. It's 2 o'clock, they'll say!
Devanagari letter KA, bold, slanted. Latin capital letter A with diaeresis, italic.
Pictures of animals, of plants and of 1,234 other things that we've never seen before.
he said she'd seen them: the red tulips, the blue tulips, the yellow tulips and the roses
""".strip().split("\n")

TEXTS = SENTENCES[:3] + [
    "",
    "a",
    "   leading and   doubled spaces \t tabs\nand lines  ",
    "don't they're we've I'm she'll he'd it's DON'T THEY'RE",
    "numbers 12345 and ½ Ⅻ ٣ 2nd 3rd",
    "Ünïcödé, ÉCOLE, straße, Ελληνικά ΟΔΟΣ, Кириллица",
    "cafe\u0301 and caf\u00e9, İstanbul",
    "日本語のテキスト 漢字 한국어 हिन्दी",
    "emoji 😀👍🏽 and ‘quotes’ — dashes… ©®™",
    "<|startoftext|>marks in a text<|endoftext|> go on",
    "punctuation!!! (really?) [yes] {no} ~tilde~ under_score #hash @at 50% a/b c\\d",
    "non\u00a0breaking\u2003spaces\u3000here",
    "one_very_long_word_" + "abcdefghij" * 12,
    "word " * 40,
]
MAX_TOKENS = 48


def pairs_of_gpt2(folder):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=3 + 256 + 120, min_frequency=2, special_tokens=["<pad>", "<end>", "<begin>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.save(str(folder / "bpe.json"))
    merges = json.loads((folder / "bpe.json").read_text())["model"]["merges"]
    (folder / "bpe.json").unlink()
    merges = [" ".join(merge) if isinstance(merge, list) else merge for merge in merges]
    ids = [[2, *tokenizer.encode(text).ids[:MAX_TOKENS - 2], 1] for text in TEXTS]
    return {"merges": merges, "ids": ids}


def clip(folder):
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=400, min_frequency=2, end_of_word_suffix="</w>",
                                  show_progress=False)
    tokenizer.train_from_iterator([text.lower() for text in SENTENCES], trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge)
              for merge in merges]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = letters + [letter + "</w>" for letter in letters]
    known = set(tokens)
    kept = []
    for left, right in merges:
        if left in known and right in known and left + right not in known:
            kept.append((left, right))
            known.add(left + right)
            tokens.append(left + right)
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    place = folder / "clip"
    place.mkdir()
    vocab = {token: number for number, token in enumerate(tokens)}
    (place / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False))
    lines = ["#version: 0.2"] + [" ".join(merge) for merge in kept]
    (place / "merges.txt").write_text("\n".join(lines) + "\n")
    (place / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": MAX_TOKENS}))
    peer = CLIPTokenizerFast.from_pretrained(place)
    (place / "tokenizer_config.json").unlink()
    peer.backend_tokenizer.save(str(place / "tokenizer.json"))
    return {"ids": peer(TEXTS, truncation=True, max_length=MAX_TOKENS)["input_ids"]}


def siglip(folder):
    import sentencepiece
    from transformers import SiglipTokenizer

    place = folder / "siglip"
    place.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 4 + [text.lower() for text in SENTENCES] * 4),
        model_prefix=str(place / "spiece"), vocab_size=160, pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, hard_vocab_limit=False, minloglevel=2)
    (place / "spiece.vocab").unlink()
    peer = SiglipTokenizer(str(place / "spiece.model"), model_max_length=MAX_TOKENS)
    ids = peer(TEXTS, padding="max_length", truncation=True, max_length=MAX_TOKENS)["input_ids"]
    return {"ids": ids}


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    expected = {"max_tokens": MAX_TOKENS, "bpe": pairs_of_gpt2(folder), "clip": clip(folder)}
    try:
        expected["siglip"] = siglip(folder)
    except ImportError:
        pass
    (folder / "texts.json").write_text(json.dumps({"sentences": SENTENCES, "texts": TEXTS}))
    (folder / "expected.json").write_text(json.dumps(expected))


main()
