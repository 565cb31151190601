#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Accuracy per skill on the held-out problems, with a checkpoint in PyTorch or with a model file through `ponder run --json`."""
import argparse
import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import torch

from reasoner_data import SKILLS, EOS, held_out_set, is_right, load_tokenizer, problem, prompt_text


@torch.no_grad()
def generate(model, tokenizer, texts, max_new=260, temperature=0.0):
    """Continuation of every text, greedy at temperature 0; rows are padded on the left and finished ones leave the batch."""
    model.eval()
    rows = [tokenizer.encode(t).ids for t in texts]
    longest, n = max(map(len, rows)), len(rows)
    tokens, pad = torch.full((n, longest), 2), torch.tensor([longest - len(r) for r in rows])
    for i, r in enumerate(rows):
        tokens[i, longest - len(r):] = torch.tensor(r)
    positions = (torch.arange(longest)[None] - pad[:, None]).clamp(min=0)
    mask = model.causal_mask(longest) + (torch.arange(longest)[None] < pad[:, None]).float()[:, None, None] * -1e30
    caches, out, alive = [[] for _ in model.model.layers[:-1]], [[] for _ in rows], torch.arange(n)
    eos = tokenizer.token_to_id(EOS)
    x = model.hidden(tokens, positions, mask, caches)[:, -1]
    for step in range(max_new):
        logits = model.lm_head(model.model.norm(x)).float()
        token = torch.multinomial((logits / temperature).softmax(-1), 1)[:, 0] if temperature else logits.argmax(-1)
        going = token != eos
        for row, t in zip(alive.tolist(), token.tolist()):
            out[row].append(t)
        if not going.any():
            break
        if not going.all():
            alive, token = alive[going], token[going]
            caches = [[a[going] for a in c] for c in caches]
        keys = torch.arange(longest + step + 1)[None]
        mask = (keys < pad[alive][:, None]).float()[:, None, None] * -1e30
        x = model.hidden(token[:, None], (longest + step - pad[alive])[:, None], mask, caches)[:, -1]
    model.train()
    return [tokenizer.decode([t for t in o if t != eos], skip_special_tokens=False) for o in out]


def answers(model, tokenizer, items, thinks=True):
    order = sorted(range(len(items)), key=lambda i: (items[i]["skill"], len(items[i]["prompt"])))
    said = [""] * len(items)
    for at in range(0, len(order), 128):
        part = order[at:at + 128]
        texts = [prompt_text(items[i]["prompt"]) + ("" if thinks else "\n</think>\n\n") for i in part]
        for i, text in zip(part, generate(model, tokenizer, texts, 260 if thinks else 40)):
            said[i] = text.split("</think>")[-1] if "</think>" in text else "" if thinks else text
    return said


def tally(items, said):
    score = {s: [is_right(i, a) for i, a in zip(items, said) if i["skill"] == s] for s in SKILLS}
    score = {s: sum(v) / len(v) for s, v in score.items()}
    score["overall"] = sum(is_right(i, a) for i, a in zip(items, said)) / len(items)
    return score


def validate(model, tokenizer, per_skill):
    """A small sample of held-out problems, other than those of the test set."""
    rng = random.Random(99)
    items = [problem(rng, s, True) for s in SKILLS for _ in range(per_skill)]
    return tally(items, answers(model, tokenizer, items))


@torch.no_grad()
def mtp_acceptance(model, tokenizer, items, texts):
    """Share of generated tokens that the MTP layer drafts as the main model then chooses them."""
    right = total = 0
    for item, text in zip(items, texts):
        prompt = tokenizer.encode(prompt_text(item["prompt"])).ids
        tokens = torch.tensor([prompt + tokenizer.encode(text).ids])
        hidden = model.hidden(tokens, torch.arange(tokens.shape[1])[None], model.causal_mask(tokens.shape[1]))
        draft = model.lm_head(model.next_hidden(tokens, hidden, norm_first=True))[0, :-1].argmax(-1)
        hits = (draft == tokens[0, 2:])[len(prompt) - 1:]
        right, total = right + hits.sum().item(), total + len(hits)
    return right / total


def ask_ponder(binary, model_file, item, budget):
    command = [binary, "run", "-m", model_file, "-p", item["prompt"], "--json", "--temperature", "0", "--max-tokens", "300", "--threads", "1"]
    command += ["--think-budget", str(budget)] if budget is not None else []
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return "".join(e["text"] for e in events if e["type"] == "answer")


def ask_all(binary, model_file, items, budget):
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda item: ask_ponder(binary, model_file, item, budget), items))


def load_checkpoint(path):
    from reasoner_model import Reasoner
    model = Reasoner()
    model.load_state_dict(torch.load(path)["model"])
    return model


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", help="a .pt of train.py")
    parser.add_argument("--ponder", help="the ponder program; needs --model")
    parser.add_argument("--model", help="GGUF file or Hugging Face folder")
    parser.add_argument("--think-budget", type=int, help="tokens of thinking; 0: none")
    parser.add_argument("--questions", help="JSON list of {skill, prompt, answer} instead of the held-out set")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--show-wrong", type=int, default=0)
    args = parser.parse_args()
    items = (json.loads(open(args.questions).read()) if args.questions else held_out_set())[:args.count]
    if args.checkpoint:
        torch.set_num_threads(2)
        model, tokenizer = load_checkpoint(args.checkpoint), load_tokenizer()
        said = answers(model, tokenizer, items, args.think_budget != 0)
    else:
        said = ask_all(args.ponder, args.model, items, args.think_budget)
    for item, answer in [(i, a) for i, a in zip(items, said) if not is_right(i, a)][:args.show_wrong]:
        print(f"wrong: {item['prompt']!r} gave {answer.strip()!r}, not {item['answer']!r}")
    for name, value in tally(items, said).items():
        print(f"{name:10} {100 * value:5.1f} %")


if __name__ == "__main__":
    main()
