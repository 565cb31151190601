#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The model card's figures: accuracy over thinking budgets with its plot, what Q8_0 costs against float32, free wording, the MTP layer."""
import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

import evaluate
from reasoner_data import SKILLS, completion_text, held_out_set, load_tokenizer, prompt_text

BUDGETS = [0, 16, 32, 64, 128, None]


def draw_curve(curve, path):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    figure, axes = plt.subplots(figsize=(7.5, 4.5), dpi=110)
    at = range(len(BUDGETS))
    for skill in SKILLS:
        axes.plot(at, [100 * c[skill] for c in curve], color="0.75", linewidth=1)
    axes.plot(at, [100 * c["overall"] for c in curve], color="tab:blue", linewidth=2.5, marker="o", label="overall")
    for x, c in zip(at, curve):
        axes.annotate(f"{100 * c['overall']:.1f}", (x, 100 * c["overall"]), textcoords="offset points", xytext=(0, 8), ha="center", color="tab:blue")
    axes.plot([], [], color="0.75", label="each skill")
    axes.set_xticks(list(at), ["unlimited" if b is None else str(b) for b in BUDGETS])
    axes.set(xlabel="thinking budget, tokens", ylabel="right of 1,000 held-out problems, %", ylim=(-3, 108))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.legend(loc="center right", frameon=False)
    figure.tight_layout()
    figure.savefig(path)


def logits_of(ponder, model_file, tokens, folder):
    out = str(Path(folder) / "logits.npy")
    subprocess.run([ponder, "logits", "-m", model_file, "--tokens", ",".join(map(str, tokens)), "--out", out], check=True, capture_output=True)
    return np.load(out).astype(np.float64)


def log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def mean_divergence(ponder, base, other, items):
    """Mean KL(base || other) in nats, and the share of equal first choices, over every position of thought and answer."""
    tokenizer, total, same, n = load_tokenizer(), 0.0, 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for item in items:
            prompt = tokenizer.encode(prompt_text(item["prompt"])).ids
            tokens = prompt + tokenizer.encode(completion_text(item)).ids
            p, q = (log_softmax(logits_of(ponder, m, tokens, folder)[len(prompt) - 1:-1]) for m in (base, other))
            total += (np.exp(p) * (p - q)).sum()
            same += (p.argmax(-1) == q.argmax(-1)).sum()
            n += len(p)
    return total / n, same / n, n


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ponder", required=True)
    parser.add_argument("--model", required=True, help="the file that ships")
    parser.add_argument("--float-model", help="the float32 GGUF or folder it was made from")
    parser.add_argument("--checkpoint", help="a .pt of train.py, for the MTP layer")
    parser.add_argument("--plot", help="PNG to write")
    parser.add_argument("--out", type=Path, help="JSON to write")
    args = parser.parse_args()
    items, free, found = held_out_set(), json.loads((Path(__file__).parent / "free_questions.json").read_text()), {}
    curve = [evaluate.tally(items, evaluate.ask_all(args.ponder, args.model, items, b)) for b in BUDGETS]
    found["accuracy by budget"] = dict(zip(["unlimited" if b is None else b for b in BUDGETS], curve))
    if args.plot:
        draw_curve(curve, args.plot)
    found["free wording"] = evaluate.tally(free, evaluate.ask_all(args.ponder, args.model, free, None))
    if args.float_model:
        found["accuracy in float32"] = evaluate.tally(items, evaluate.ask_all(args.ponder, args.float_model, items, None))
        kl, same, n = mean_divergence(args.ponder, args.float_model, args.model, items[:220])
        found["float32 to shipped"] = dict(mean_kl_nats=kl, same_first_choice=same, positions=n)
    if args.checkpoint:
        model, tokenizer = evaluate.load_checkpoint(args.checkpoint), load_tokenizer()
        texts = evaluate.generate(model, tokenizer, [prompt_text(i["prompt"]) for i in items[:220]])
        found["MTP acceptance"] = evaluate.mtp_acceptance(model.eval(), tokenizer, items[:220], texts)
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
