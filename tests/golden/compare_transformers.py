# SPDX-License-Identifier: Apache-2.0
# Logits of the tiny Hugging Face models as the transformers library computes them in float64, next to ponder's and to the recorded ones.
#
#   compare_transformers.py [--ponder TOOL] [--plain] [--only NAME] [--record]
#
# Needs torch (CPU), transformers, safetensors and numpy; not part of the test run. --ponder: also runs the tool on every folder and on its
# conversion. --record: writes hf_expected.json, which test_hf_logits.cpp reads. --plain leaves transformers' own float32 steps (norms,
# router, softmax, angles) in place; without it they are widened to float64 as well.
import argparse
import json
import pathlib
import sys
import tempfile

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM

import hf_fixture as fixture
import hf_tool as tool

EXPECTED = fixture.HERE / "hf_expected.json"
POSITIONS = (0, 13, 27)
N_RECORDED = 8  # logits a position, spread over the vocabulary


class WideTorch:
    """The torch module with float64 in float32's place."""

    def __getattr__(self, name):
        return torch.float64 if name in ("float32", "float") else getattr(torch, name)


def widen(module):
    """Lets the library's code in `module` take float64 where it names float32."""
    if isinstance(getattr(module, "torch", None), type(torch)):
        module.torch = WideTorch()


def widen_all():
    torch.Tensor.float = torch.Tensor.double
    for name, module in list(sys.modules.items()):
        if name.startswith("transformers.models.") and ".modeling_" in name or name == "transformers.modeling_rope_utils":
            widen(module)


def load(folder, is_wide):
    """The model with float64 weights. Its code is imported by the first load; the second one sees it widened."""
    options = {"dtype": torch.float64, "attn_implementation": "eager", "experts_implementation": "eager", "local_files_only": True}
    model, info = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True, **options)
    if is_wide:
        widen_all()
        model = AutoModelForCausalLM.from_pretrained(folder, **options)
    missing, surprising = info["missing_keys"], [k for k in info["unexpected_keys"] if ".layers.3." not in k]
    if missing or surprising:
        raise SystemExit(f"transformers takes the folder otherwise than meant: missing {missing}, unexpected {surprising}")
    return model.eval()


def transformers_logits(model, values, tokens, is_wide):
    """[n_tokens, n_vocab] float64. The folder given to the library holds the weights' values as float32, whatever the model stores."""
    config = {k: v for k, v in model["config"].items() if k not in ("quantization_config", "torch_dtype", "dtype")} | {"torch_dtype": "float32"}
    plain = [(name, "F32", v.shape, np.ascontiguousarray(v).tobytes()) for name, v in values.items()]
    with tempfile.TemporaryDirectory() as folder:
        fixture.write_folder(folder, config, plain, 1)
        with torch.no_grad():
            logits = load(folder, is_wide)(torch.tensor([tokens]), use_cache=False).logits[0]
    if logits.dtype != torch.float64:
        raise SystemExit(f"{model['name']}: logits came back as {logits.dtype}")
    return logits.numpy()


def recorded_ids(n_vocab):
    return [(i * n_vocab) // N_RECORDED for i in range(N_RECORDED)]


def record_of(model, parts, logits):
    ids = recorded_ids(logits.shape[1])
    return {
        "name": model["name"],
        "digest": f"{fixture.digest(parts):016x}",
        "largest": float(np.abs(logits).max()),
        "ids": ids,
        "rows": [{"position": p, "argmax": int(logits[p].argmax()), "logits": [float(logits[p, i]) for i in ids]} for p in POSITIONS],
    }


def compare_with_tool(binary, model, parts, tokens, logits, scratch):
    folder = scratch / model["name"]
    fixture.write_folder(folder, model["config"], parts, model["n_files"])
    for label, run in (("folder", lambda: folder), ("converted F32", lambda: tool.convert(binary, folder, scratch / f"{model['name']}.gguf", "F32"))):
        try:
            ours = tool.ponder_logits(binary, run(), tokens, scratch)
            print(f"  ponder, {label}: largest difference {np.abs(ours - logits).max():.3g}, of {np.abs(logits).max():.3g}")
        except tool.ToolError as error:
            print(f"  ponder, {label}: {error}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ponder", type=pathlib.Path)
    parser.add_argument("--only")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    models, tokens = fixture.read_models()
    known = {r["name"]: r for r in json.loads(EXPECTED.read_text())["models"]} if EXPECTED.exists() else {}
    records = []
    with tempfile.TemporaryDirectory() as scratch:
        for model in models:
            if options.only not in (None, model["name"]):
                continue
            parts, values = fixture.make_model(model)
            logits = transformers_logits(model, values, tokens, not options.plain)
            record = record_of(model, parts, logits)
            records.append(record)
            print(f"{model['name']}: digest {record['digest']}, largest logit {record['largest']:.4f}, arg-max {[int(i) for i in logits.argmax(-1)]}")
            if was := known.get(model["name"]):
                worst = max(abs(a - b) for old, new in zip(was["rows"], record["rows"]) for a, b in zip(old["logits"], new["logits"]))
                print(f"  recorded: largest difference {worst:.3g}, {'same' if was['digest'] == record['digest'] else 'OTHER'} weights")
            if options.ponder:
                compare_with_tool(options.ponder, model, parts, tokens, logits, pathlib.Path(scratch))
    if options.record:
        about = f"float64 logits of transformers {transformers.__version__}, torch {torch.__version__}; made by compare_transformers.py --record"
        text = json.dumps({"about": about, "models": records}, separators=(", ", ": "))
        EXPECTED.write_text(text.replace('{"name"', '\n {"name"').replace('"rows"', '\n  "rows"').replace('{"position"', '\n   {"position"') + "\n", encoding="utf-8")


main()
