#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes seeds of the fuzzers into FOLDER: good GGUF and safetensors files and config.json files, and bad ones named after their lie."""
import json
import struct
import sys
from pathlib import Path

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}


def pack(letter, *values):
    return struct.pack("<" + letter * len(values), *values)


def string(text, length=None):
    data = text if isinstance(text, bytes) else text.encode()
    return pack("Q", len(data) if length is None else length) + data


def header(n_tensors, n_keys, version=3):
    return b"GGUF" + pack("I", version) + pack("Q", n_tensors, n_keys)


def key(name, kind, value=b""):
    """One key; value: a number, text, or bytes that follow the type as they are."""
    head = string(name) + pack("i", kind)
    if isinstance(value, bytes):
        return head + value
    return head + (string(value) if kind == STRING else pack(FORMATS[kind], value))


def array(name, kind, values, count=None):
    head = key(name, ARRAY) + pack("i", kind) + pack("Q", len(values) if count is None else count)
    return head + b"".join(string(v) if kind == STRING else pack(FORMATS[kind], v) for v in values)


def tensor(name, dims, kind=0, offset=0):
    return string(name) + pack("I", len(dims)) + pack("q", *dims) + pack("i", kind) + pack("Q", offset)


def pad(data, alignment=32, extra=0):
    return data + bytes(-len(data) % alignment) + bytes(extra)


def model(version=3, alignment=32):
    keys = [key("general.architecture", STRING, "llama"), key("general.alignment", U32, alignment), key("llama.block_count", U32, 1),
            key("llama.rope.freq_base", F32, 10000.0), key("tokenizer.ggml.add_bos_token", BOOL, 1),
            array("tokenizer.ggml.tokens", STRING, ["<s>", "a", b"\xff", "ab"]), array("tokenizer.ggml.scores", F32, [0, -1, -2, -3]),
            array("tokenizer.ggml.token_type", I32, [3, 1, 1, 1]), array("tokenizer.ggml.merges", STRING, ["a b"])]
    tensors = [tensor("token_embd.weight", [8, 4]), tensor("output_norm.weight", [8], 0, 128), tensor("output.weight", [32, 2], 8, 256)]
    return pad(pad(header(len(tensors), len(keys), version) + b"".join(keys + tensors), alignment) + bytes(range(256)) + bytes(68), alignment)


def every_type():
    keys = [key(f"k{kind}", kind, 1) for kind in FORMATS] + [array(f"a{kind}", kind, [0, 1]) for kind in FORMATS]
    return header(0, len(keys)) + b"".join(keys)


def one_key(data):
    return header(0, 1) + data


def one_tensor(dims, kind=0, offset=0):
    return pad(header(1, 0) + tensor("w", dims, kind, offset), extra=1024)


def two_tensors(first, second, names=("a", "b")):
    return pad(header(2, 0) + tensor(names[0], [9], 0, first) + tensor(names[1], [8], 0, second), extra=256)


def seeds():
    yield "good_v3", model()
    yield "good_v2_alignment_64", model(2, 64)
    yield "good_every_type", every_type()
    yield "good_vocabulary_only", header(0, 1) + array("tokenizer.ggml.tokens", STRING, ["a", "b", ""])
    yield "good_empty", header(0, 0)
    yield "good_split_part", header(0, 2) + key("split.no", U16, 0) + key("split.count", U16, 2)
    yield "bad_magic", b"PK\x03\x04"
    yield "bad_version_1", header(0, 0, 1)
    yield "bad_big_endian", header(0, 0, 0x03000000)
    for shift in (31, 63):
        yield f"bad_n_tensors_2_{shift}", header(1 << shift, 0) + bytes(64)
        yield f"bad_n_keys_2_{shift}", header(0, 1 << shift) + bytes(64)
        yield f"bad_array_count_2_{shift}", one_key(array("k", STRING, ["a"], 1 << shift))
        yield f"bad_key_length_2_{shift}", one_key(string("k", 1 << shift))
    yield "bad_string_length_max", one_key(key("k", STRING, string("v", (1 << 64) - 1)))
    yield "bad_key_empty", one_key(key("", U32, 1))
    yield "bad_key_not_utf8", one_key(key(b"\xc0\x80", U32, 1))
    yield "bad_key_zero_byte", one_key(key("a\0b", U32, 1))
    yield "bad_key_twice", header(0, 2) + key("k", U32, 1) * 2
    yield "bad_value_type", one_key(key("k", 13, bytes(16)))
    yield "bad_bool", one_key(key("k", BOOL, 2))
    yield "bad_array_of_arrays", one_key(key("k", ARRAY) + (pack("i", ARRAY) + pack("Q", 1)) * 100)
    yield "bad_array_element_type", one_key(key("k", ARRAY) + pack("i", 99) + pack("Q", 1) + bytes(16))
    yield "bad_array_product_wraps", one_key(key("k", ARRAY) + pack("i", U64) + pack("Q", (1 << 61) + 1) + bytes(16))
    for alignment in (0, 1, 3, 1 << 31):
        yield f"bad_alignment_{alignment}", one_key(key("general.alignment", U32, alignment))
    yield "bad_alignment_string", one_key(key("general.alignment", STRING, "32"))
    yield "bad_offset_unaligned", one_tensor([8], 0, 4)
    yield "bad_offset_past_end", one_tensor([8], 0, 4096)
    yield "bad_offset_wraps", one_tensor([8], 0, (1 << 64) - 32)
    yield "bad_tensors_overlap", two_tensors(0, 32)
    yield "bad_tensor_twice", two_tensors(0, 64, ("w", "w"))
    yield "bad_tensor_name_empty", two_tensors(0, 64, ("", "w"))
    yield "bad_n_dims_0", one_tensor([])
    yield "bad_n_dims_5", one_tensor([1] * 5)
    yield "bad_n_dims_max", header(1, 0) + string("w") + pack("I", 0xFFFFFFFF) + bytes(64)
    yield "bad_dim_0", one_tensor([0, 256])
    yield "bad_dim_negative", one_tensor([8, -1])
    yield "bad_dims_wrap", one_tensor([1 << 32, 1 << 32])
    yield "bad_dims_larger_than_file", one_tensor([256, 256])
    yield "bad_partial_block", one_tensor([33], 8)
    yield "bad_type_removed", one_tensor([32], 4)
    yield "bad_type_negative", one_tensor([32], -1)
    yield "bad_cut", model()[:200]


def safetensors(entries, n_data, length=None):
    text = (entries if isinstance(entries, str) else json.dumps(entries, separators=(",", ":"))).encode()
    return pack("Q", len(text) if length is None else length) + text + bytes(range(n_data))


def entry(begin, end, shape, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def safetensors_seeds():
    good = {"__metadata__": {"format": "pt"}, "b": entry(4, 16, [2, 3], "BF16"), "a": entry(0, 4, []), "c": entry(16, 20, [1, 4], "F8_E4M3")}
    yield "good", safetensors(good, 20)
    yield "good_empty", safetensors({}, 0)
    yield "bad_cut", safetensors(good, 19)
    yield "bad_header_giant", safetensors({}, 0, (1 << 64) - 1)
    yield "bad_header_past_end", safetensors({}, 0, 1 << 20)
    yield "bad_header_list", safetensors([], 0)
    yield "bad_nested", safetensors('{"a":' + "[" * 1000, 0)
    yield "bad_overlap", safetensors({"a": entry(0, 8, [2]), "b": entry(4, 12, [2])}, 12)
    yield "bad_gap", safetensors({"a": entry(0, 4, [1]), "b": entry(8, 12, [1])}, 12)
    yield "bad_out_of_file", safetensors({"a": entry(0, 1 << 40, [1 << 38])}, 4)
    yield "bad_reversed", safetensors({"a": entry(4, 0, [1])}, 4)
    yield "bad_offset_wraps", safetensors({"a": entry((1 << 64) - 4, (1 << 64) - 1, [1])}, 4)
    yield "bad_shape_wraps", safetensors({"a": entry(0, 0, [1 << 40, 1 << 24])}, 0)
    yield "bad_shape_text", safetensors({"a": entry(0, 4, ["1"])}, 4)
    yield "bad_shape_float", safetensors({"a": entry(0, 4, [1.0])}, 4)
    yield "bad_dtype", safetensors({"a": entry(0, 4, [1], "F33")}, 4)
    yield "bad_twice", safetensors('{"a":%s,"a":%s}' % ((json.dumps(entry(0, 4, [1])),) * 2), 4)


def config_seeds():
    models = json.loads((Path(__file__).parents[1] / "golden" / "hf_models.json").read_text())["models"]
    for model in models:
        yield "good_" + model["name"], model["config"]
    dense, experts = models[0]["config"], next(m["config"] for m in models if m["name"].startswith("deepseek-v3"))
    lies = {"layers": {"num_hidden_layers": 1 << 40}, "width": {"hidden_size": 1 << 20, "num_hidden_layers": 1024}, "heads_0": {"num_attention_heads": 0},
            "heads_many": {"num_attention_heads": 4096, "head_dim": 1 << 20}, "text": {"hidden_size": "96"}, "float": {"hidden_size": 96.5},
            "rope": {"rope_scaling": {"rope_type": "yarn", "factor": 1e300}}, "rope_list": {"rope_scaling": [1]}, "type": {"model_type": "gpt2"},
            "epsilon": {"rms_norm_eps": 1e400}}
    for name, patch in lies.items():
        yield "bad_" + name, {**dense, **patch}
    for name, patch in {"experts": {"n_routed_experts": 1 << 31}, "used": {"num_experts_per_tok": 99}, "groups": {"n_group": 5},
                        "ranks": {"kv_lora_rank": 1 << 20, "q_lora_rank": 1 << 20}, "next": {"num_nextn_predict_layers": -1}}.items():
        yield "bad_" + name, {**experts, **patch}


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "corpus")

    def write(kind, name, data):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind / name).write_bytes(data)

    for name, data in seeds():
        write("gguf", f"{name}.gguf", data)
    for name, data in safetensors_seeds():
        write("safetensors", f"{name}.safetensors", data)
    for name, config in config_seeds():
        write("hf_config", f"{name}.json", json.dumps(config).encode())


if __name__ == "__main__":
    main()
