#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the tiny reasoner on generated problems: Muon for matrices, AdamW for the rest, checkpoints that resume exactly."""
import argparse
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import evaluate
from reasoner_data import SKILLS, completion_text, load_tokenizer, problem, prompt_text
from reasoner_model import CONFIG, Experts, Reasoner

MIX = dict(add=1.1, subtract=1.1, multiply=1.5, compare=1.1, count=1.2, reverse=1.5, sort=1.8, modulo=1.2, clock=1.3, story=2.2, refuse=0.6)
POOL = 8  # Batches drawn together and sorted by length, so that little is padding.


def draw_pool(tokenizer, seed, batch_tokens, mix):
    """POOL batches of (tokens, is_loss), each about batch_tokens with padding."""
    rng, rows, total = random.Random(seed * 7919 + 17), [], 0
    names, weights = list(mix), list(mix.values())
    items = [problem(rng, rng.choices(names, weights)[0], False) for _ in range(POOL * batch_tokens // 50)]
    prompts = tokenizer.encode_batch([prompt_text(i["prompt"]) for i in items])
    completions = tokenizer.encode_batch([completion_text(i) for i in items])
    for p, c in zip(prompts, completions):
        if total < POOL * batch_tokens:
            rows.append((p.ids, c.ids))
            total += len(p.ids) + len(c.ids)
    rows.sort(key=lambda r: len(r[0]) + len(r[1]))
    batches, batch = [], []
    for row in rows:
        batch.append(row)
        if len(batch) * (len(row[0]) + len(row[1])) >= batch_tokens:
            batches.append(batch)
            batch = []
    if batch:
        batches.append(batch)
    rng.shuffle(batches)
    for batch in batches:
        longest = max(len(p) + len(c) for p, c in batch)
        tokens, is_loss = torch.full((len(batch), longest), 2), torch.zeros(len(batch), longest, dtype=torch.bool)
        for i, (p, c) in enumerate(batch):
            tokens[i, :len(p) + len(c)] = torch.tensor(p + c)
            is_loss[i, len(p):len(p) + len(c)] = True
        yield tokens, is_loss


def orthogonalised(g):
    """Newton-Schulz iteration of Muon; the last two dimensions are the matrix."""
    is_tall = g.shape[-2] > g.shape[-1]
    x = g.transpose(-1, -2) if is_tall else g
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).bfloat16()
    for _ in range(5):
        a = x @ x.transpose(-1, -2)
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    x = x.float()
    return x.transpose(-1, -2) if is_tall else x


class Muon(torch.optim.Optimizer):
    def __init__(self, params, lr, momentum=0.95, weight_decay=0.02):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("buffer", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                shapes.setdefault(tuple(p.shape[-2:]), []).append((p, p.grad.lerp(buffer, group["momentum"])))
            for shape, pairs in shapes.items():
                stacked = orthogonalised(torch.cat([u.reshape(-1, *shape) for _, u in pairs]))
                at, scale = 0, 0.2 * max(shape) ** 0.5
                for p, _ in pairs:
                    n = p.numel() // (shape[0] * shape[1])
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(stacked[at:at + n].reshape(p.shape), alpha=-group["lr"] * scale)
                    at += n


def losses(model, tokens, is_loss, has_mtp=True):
    """Cross-entropy of the next token and, through the MTP layer, of the one after."""
    t = tokens.shape[1]
    hidden = model.hidden(tokens, torch.arange(t)[None], model.causal_mask(t))
    normed = model.model.norm(hidden)
    keep = is_loss[:, 1:]
    main = F.cross_entropy(model.lm_head(normed[:, :-1][keep]).float(), tokens[:, 1:][keep])
    if not has_mtp:
        return main, torch.zeros(())
    keep = is_loss[:, 2:]
    ahead = model.next_hidden(tokens, hidden, norm_first=True)[:, :-1]
    return main, F.cross_entropy(model.lm_head(ahead[keep]).float(), tokens[:, 2:][keep])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and log.jsonl")
    parser.add_argument("--minutes", type=float, default=60, help="length of the whole schedule, by this machine's clock")
    parser.add_argument("--steps", type=int, default=0, help="length in steps instead; the same result on every run")
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--mtp-from", type=float, default=0.4, help="part of the schedule after which the MTP layer learns too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bf16", action="store_true", help="autocast; for CPUs with bf16 instructions")
    parser.add_argument("--eval-minutes", type=float, default=6)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    tokenizer, model = load_tokenizer(), Reasoner()
    # With every weight of the last norm at one, a runtime may feed the MTP layer the state before or after that norm.
    model.model.norm.weight.requires_grad_(False)
    matrices = [p for n, p in model.named_parameters() if p.ndim >= 2 and "embed" not in n and "lm_head" not in n and "gate.weight" not in n]
    chosen = {id(p) for p in matrices}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    gates = [p for n, p in model.named_parameters() if "gate.weight" in n]
    others = [p for p in others if all(p is not g for g in gates)]
    optimizers = [Muon(matrices, args.lr), torch.optim.AdamW([dict(params=others), dict(params=gates, share=0.2)], lr=args.lr, betas=(0.9, 0.95),
                                                             weight_decay=0.0)]
    state = dict(step=0, tokens=0, seconds=0.0, pool=0)
    last = args.out / "last.pt"
    if last.exists():
        saved = torch.load(last)
        model.load_state_dict(saved["model"])
        state = saved["state"]
        for optimizer, s in zip(optimizers, saved["optimizers"]):
            optimizer.load_state_dict(s)
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)

    def save():
        torch.save(dict(model=model.state_dict(), optimizers=[o.state_dict() for o in optimizers], state=state), args.out / "new.pt")
        (args.out / "new.pt").replace(last)

    def progress():
        return state["step"] / args.steps if args.steps else state["seconds"] / (60 * args.minutes)

    best, next_eval, clock, seen = -1, state["seconds"] + 60 * args.eval_minutes, time.time(), []
    while progress() < 1:
        mix_file = args.out / "mix.json"  # Weights may be changed while it runs.
        mix = {**MIX, **(json.loads(mix_file.read_text()) if mix_file.exists() else {})}
        for tokens, is_loss in draw_pool(tokenizer, state["pool"], args.batch_tokens, mix):
            rate = min(1, (state["step"] + 1) / 100, max(0.02, (1 - progress()) / 0.6))  # Warm-up, plateau, linear fall.
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = args.lr * rate * group.get("share", 1)
            with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
                loss, ahead = losses(model, tokens, is_loss, progress() > args.mtp_from)
            (loss + 0.3 * ahead).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
            loads = [m.load / m.load.mean().clamp(min=1) for m in model.modules() if isinstance(m, Experts)]
            seen.append((loss.item(), ahead.item(), max(x.max().item() for x in loads)))
            model.update_router_bias(0.02 if state["step"] < 300 else 0.004 * rate)
            now = time.time()
            state["step"] += 1
            state["tokens"] += tokens.numel()
            state["seconds"] += now - clock
            clock = now
            if state["step"] % 25 == 0:
                mean = [sum(x) / len(x) for x in zip(*seen)]
                print(f"step {state['step']} tokens {state['tokens'] / 1e6:.2f}M min {state['seconds'] / 60:.1f} loss {mean[0]:.4f} mtp {mean[1]:.4f} "
                      f"load {mean[2]:.2f} lr {args.lr * rate:.5f} tok/s {state['tokens'] / state['seconds']:.0f}", flush=True)
                seen = []
            if progress() >= 1:
                break
        state["pool"] += 1
        if state["seconds"] >= next_eval or progress() >= 1:
            save()
            score = evaluate.validate(model, tokenizer, per_skill=12)
            print("eval", " ".join(f"{k} {v:.2f}" for k, v in score.items()), flush=True)
            if score["overall"] >= best:
                best = score["overall"]
                torch.save(dict(model=model.state_dict(), state=state), args.out / "best.pt")
            next_eval, clock = state["seconds"] + 60 * args.eval_minutes, time.time()


if __name__ == "__main__":
    main()
