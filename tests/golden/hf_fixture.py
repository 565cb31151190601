# SPDX-License-Identifier: Apache-2.0
# Writes the tiny Hugging Face folders of hf_models.json: the same bytes as hf_models.cpp, by code that shares nothing with it but the rules.
#
# Weights are a function of the tensor's name and the element's index alone. Element i takes the bits z = splitmix64's output i + 1 from the
# seed FNV-1a(name); n = the sum of z's four 16-bit fields - 131070 is nearly normal with deviation 37837. Then, in float64:
#   norms 1 + n 2^-18; biases and embeddings n 2^-17; router corrections n 2^-19; other matrices n * (gain / (37837 * sqrt(columns)))
# rounded to float32, and from there to what is stored, to the nearest and to even. FP8 comes in blocks of 128 x 128: factor =
# float32(largest magnitude / 448), code = E4M3(value / factor), and the weight is float32(code's value * factor).
import json
import math
import pathlib
import struct

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
MASK = (1 << 64) - 1
GOLDEN_RATIO = 0x9E3779B97F4A7C15
GAINS = {"q_proj": 1.5, "k_proj": 1.5, "q_b_proj": 1.5, "kv_a_proj_with_mqa": 1.5, "gate": 2.0, "lm_head": 2.0}
BLOCK = 128


def read_models():
    with open(HERE / "hf_models.json", encoding="utf-8") as file:
        data = json.load(file)
    return data["models"], data["tokens"]


def fnv1a(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def mix(z):
    """splitmix64's finaliser on an array of uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def stream(seed, n):
    return mix(np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO))


def make_values(name, shape):
    """float32 array of a tensor, before it is stored."""
    z = stream(fnv1a(name), math.prod(shape))
    n = sum(((z >> np.uint64(16 * k)) & np.uint64(0xFFFF)).astype(np.int64) for k in range(4)) - 131070
    n = n.astype(np.float64).reshape(shape)
    part = name.split(".")[-2]
    if name.endswith("e_score_correction_bias"):
        return (n * 2.0**-19).astype(np.float32)
    if name.endswith(".bias"):
        return (n * 2.0**-17).astype(np.float32)
    if part.endswith("norm"):
        return (1.0 + n * 2.0**-18).astype(np.float32)
    if part == "embed_tokens":
        return (n * 2.0**-17).astype(np.float32)
    return (n * (GAINS.get(part, 1.0) / (37837.0 * math.sqrt(shape[1])))).astype(np.float32)


def round_e4m3(x):
    """The nearest E4M3 values of float32 ones, as float32: the step is 2^(exponent - 3), and 2^-9 below the smallest normal value."""
    _, exponent = np.frexp(x)
    step = np.exp2((np.maximum(exponent - 1, -6) - 3).astype(np.float32)).astype(np.float32)
    return np.clip(np.rint(x / step) * step, -448.0, 448.0).astype(np.float32)


def encode_e4m3(v):
    """Codes of values that E4M3 holds exactly."""
    a = np.abs(v).astype(np.float64)
    _, exponent = np.frexp(a)
    exponent = exponent - 1
    normal = (exponent + 7) * 8 + (a / np.exp2(exponent.astype(np.float64)) - 1) * 8
    code = np.where(a < 2.0**-6, a * 2.0**9, normal)
    return code.astype(np.uint8) | (np.signbit(v).astype(np.uint8) << 7)


def block_factors(x):
    rows, cols = x.shape
    factors = np.zeros((-(-rows // BLOCK), -(-cols // BLOCK)), dtype=np.float32)
    for r in range(factors.shape[0]):
        for c in range(factors.shape[1]):
            factors[r, c] = np.abs(x[r * BLOCK : (r + 1) * BLOCK, c * BLOCK : (c + 1) * BLOCK]).max() / np.float32(448)
    return factors


def to_bf16(x):
    bits = x.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def store(name, x, dtype):
    """[(name, dtype, shape, bytes)] of one tensor and the float32 values that these mean."""
    if dtype == "F32":
        return [(name, dtype, x.shape, x.tobytes())], x
    if dtype == "F16":
        half = x.astype(np.float16)
        return [(name, dtype, x.shape, half.tobytes())], half.astype(np.float32)
    if dtype == "BF16":
        bits = to_bf16(np.ascontiguousarray(x))
        return [(name, dtype, x.shape, bits.tobytes())], (bits.astype(np.uint32) << 16).view(np.float32)
    factors = block_factors(x)
    spread = np.repeat(np.repeat(factors, BLOCK, 0), BLOCK, 1)[: x.shape[0], : x.shape[1]]
    rounded = round_e4m3(x / spread)
    parts = [(name, "F8_E4M3", x.shape, encode_e4m3(rounded).tobytes()), (name + "_scale_inv", "F32", factors.shape, factors.tobytes())]
    return parts, rounded * spread


def feed_forward(prefix, hidden, inner):
    return [(prefix + "gate_proj.weight", (inner, hidden)), (prefix + "up_proj.weight", (inner, hidden)), (prefix + "down_proj.weight", (hidden, inner))]


def dense_attention(c, prefix):
    heads, kv = c["num_attention_heads"], c["num_key_value_heads"]
    head_dim = c.get("head_dim", c["hidden_size"] // heads)
    for part, n in (("q", heads), ("k", kv), ("v", kv)):
        yield f"{prefix}{part}_proj.weight", (n * head_dim, c["hidden_size"])
        if c["model_type"] == "qwen2":
            yield f"{prefix}{part}_proj.bias", (n * head_dim,)
    if c["model_type"] == "qwen3":
        yield prefix + "q_norm.weight", (head_dim,)
        yield prefix + "k_norm.weight", (head_dim,)
    yield prefix + "o_proj.weight", (c["hidden_size"], heads * head_dim)


def latent_attention(c, prefix):
    hidden, heads, rank = c["hidden_size"], c["num_attention_heads"], c["kv_lora_rank"]
    q_rows = heads * (c["qk_nope_head_dim"] + c["qk_rope_head_dim"])
    if c["q_lora_rank"]:
        yield prefix + "q_a_proj.weight", (c["q_lora_rank"], hidden)
        yield prefix + "q_a_layernorm.weight", (c["q_lora_rank"],)
        yield prefix + "q_b_proj.weight", (q_rows, c["q_lora_rank"])
    else:
        yield prefix + "q_proj.weight", (q_rows, hidden)
    yield prefix + "kv_a_proj_with_mqa.weight", (rank + c["qk_rope_head_dim"], hidden)
    yield prefix + "kv_a_layernorm.weight", (rank,)
    yield prefix + "kv_b_proj.weight", (heads * (c["qk_nope_head_dim"] + c["v_head_dim"]), rank)
    yield prefix + "o_proj.weight", (hidden, heads * c["v_head_dim"])


def expert_layer(c, prefix):
    hidden, inner = c["hidden_size"], c["moe_intermediate_size"]
    yield prefix + "gate.weight", (c["n_routed_experts"], hidden)
    if c["topk_method"] == "noaux_tc":
        yield prefix + "gate.e_score_correction_bias", (c["n_routed_experts"],)
    for e in range(c["n_routed_experts"]):
        yield from feed_forward(f"{prefix}experts.{e}.", hidden, inner)
    yield from feed_forward(prefix + "shared_experts.", hidden, inner * c["n_shared_experts"])


def layer_tensors(c, index):
    prefix, hidden = f"model.layers.{index}.", c["hidden_size"]
    is_latent = "kv_lora_rank" in c
    yield prefix + "input_layernorm.weight", (hidden,)
    yield from (latent_attention if is_latent else dense_attention)(c, prefix + "self_attn.")
    yield prefix + "post_attention_layernorm.weight", (hidden,)
    if is_latent and index >= c["first_k_dense_replace"]:
        yield from expert_layer(c, prefix + "mlp.")
    else:
        yield from feed_forward(prefix + "mlp.", hidden, c["intermediate_size"])


def list_tensors(c):
    """(name, shape) of all tensors of a config, in the order in which they are stored."""
    hidden, vocab, n_layers = c["hidden_size"], c["vocab_size"], c["num_hidden_layers"]
    yield "model.embed_tokens.weight", (vocab, hidden)
    for index in range(n_layers):
        yield from layer_tensors(c, index)
    for index in range(n_layers, n_layers + c.get("num_nextn_predict_layers", 0)):
        prefix = f"model.layers.{index}."
        yield prefix + "embed_tokens.weight", (vocab, hidden)
        yield prefix + "enorm.weight", (hidden,)
        yield prefix + "hnorm.weight", (hidden,)
        yield prefix + "eh_proj.weight", (hidden, 2 * hidden)
        yield from layer_tensors(c, index)
        yield prefix + "shared_head.norm.weight", (hidden,)
        yield prefix + "shared_head.head.weight", (vocab, hidden)
    yield "model.norm.weight", (hidden,)
    if not c["tie_word_embeddings"]:
        yield "lm_head.weight", (vocab, hidden)


def stored_type(name, stored):
    """What the published files do: router corrections are F32 everywhere; in FP8 files only the layers' projections are FP8."""
    if name.endswith("e_score_correction_bias"):
        return "F32"
    is_projection = name.endswith(("_proj.weight", "_proj_with_mqa.weight")) and not name.endswith(".eh_proj.weight")
    return "BF16" if stored == "F8_E4M3" and not is_projection else stored


def source_name(name):
    """Whose values a tensor has: the prediction layers repeat the embedding and the head of the model."""
    if name.endswith(".embed_tokens.weight"):
        return "model.embed_tokens.weight"
    return "lm_head.weight" if name.endswith("shared_head.head.weight") else name


def make_model(model):
    """The stored parts [(name, dtype, shape, bytes)] and {name: float32 values that they mean}."""
    parts, values = [], {}
    for name, shape in list_tensors(model["config"]):
        stored, values[name] = store(name, make_values(source_name(name), shape), stored_type(name, model["stored"]))
        parts += stored
    return parts, values


def digest(parts):
    """A number of all stored bytes, to see that two writers agree: see hf_models.cpp."""
    total = 0
    for name, _, _, data in parts:
        words = np.frombuffer(data + b"\0" * (-len(data) % 8), dtype="<u8")
        weighted = mix(words + np.arange(1, len(words) + 1, dtype=np.uint64) * np.uint64(GOLDEN_RATIO))
        total = (total * 31 + fnv1a(name) + int(np.add.reduce(weighted))) & MASK
    return total


def write_safetensors(path, parts):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, dtype, shape, data in parts:
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for part in parts:
            file.write(part[3])


def write_tokenizer(path):
    """A byte-level tokenizer.json in the manner of Qwen2: two special tokens, the 256 bytes, two merges; later ids have no token."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) if b in plain else chr(256 + b - sum(p < b for p in plain)) for b in range(256)]
    texts = ["<|begin|>", "<|end|>", *letters, "\u0120t", "\u0120th"]
    split = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    stages = [
        {"type": "Split", "pattern": {"Regex": split}, "behavior": "Isolated", "invert": False},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    ]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [{"id": i, "content": texts[i], **flags} for i in (0, 1)],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": stages},
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {"type": "BPE", "vocab": {t: i for i, t in enumerate(texts)}, "merges": ["\u0120 t", "\u0120t h"]},
    }
    path.write_text(json.dumps(tokenizer, ensure_ascii=False, indent=1), encoding="utf-8")


def write_folder(folder, config, parts, n_files, has_tokenizer=False):
    """config.json, a tokenizer if asked for, and the tensors, dealt out to `n_files` files in turn."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    if has_tokenizer:
        write_tokenizer(folder / "tokenizer.json")
    if n_files == 1:
        write_safetensors(folder / "model.safetensors", parts)
        return
    names = [f"model-{k + 1:05d}-of-{n_files:05d}.safetensors" for k in range(n_files)]
    for k, name in enumerate(names):
        write_safetensors(folder / name, parts[k::n_files])
    index = {"metadata": {"total_size": sum(len(p[3]) for p in parts)}, "weight_map": {p[0]: names[i % n_files] for i, p in enumerate(parts)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
