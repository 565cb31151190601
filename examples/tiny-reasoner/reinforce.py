#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A reinforcement step with verifiable rewards on a trained checkpoint: groups of samples, a reward for the right answer, and the difference from
the group's mean as advantage (GRPO, arXiv 2402.03300, without its division by the deviation and, being on policy, without clipping)."""
import argparse
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

import evaluate
from reasoner_data import EOS, SKILLS, is_right, load_tokenizer, problem, prompt_text


def sample_groups(model, tokenizer, rng, n_prompts, group, skills):
    """(problem, completion text, advantage) of the groups whose samples differ in reward, and the mean reward."""
    items = [problem(rng, rng.choice(skills), False) for _ in range(n_prompts)]
    texts = [prompt_text(i["prompt"]) for i in items for _ in range(group)]
    said = evaluate.generate(model, tokenizer, texts, temperature=1.0)
    samples, total = [], 0.0
    for i, item in enumerate(items):
        completions = said[i * group:(i + 1) * group]
        rewards = [float("</think>" in c and is_right(item, c.split("</think>")[-1])) for c in completions]
        mean = sum(rewards) / group
        total += mean
        if 0 < mean < 1:
            samples += [(item, c, r - mean) for c, r in zip(completions, rewards)]
    return samples, total / n_prompts


def policy_loss(model, tokenizer, samples):
    rows = [(tokenizer.encode(prompt_text(i["prompt"])).ids, tokenizer.encode(c + EOS).ids, a) for i, c, a in samples]
    longest = max(len(p) + len(c) for p, c, _ in rows)
    tokens, weight = torch.full((len(rows), longest), 2), torch.zeros(len(rows), longest)
    for n, (p, c, advantage) in enumerate(rows):
        tokens[n, :len(p) + len(c)] = torch.tensor(p + c)
        weight[n, len(p):len(p) + len(c)] = advantage
    hidden = model.hidden(tokens, torch.arange(longest)[None], model.causal_mask(longest))
    logits = model.lm_head(model.model.norm(hidden))[:, :-1].float()
    lost = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none").view(len(rows), -1)
    return (lost * weight[:, 1:]).sum() / len(rows) / 60  # about a completion's length: the same step for long and short ones


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--prompts", type=int, default=96)
    parser.add_argument("--group", type=int, default=6)
    parser.add_argument("--lr", type=float, default=2e-5)
    parser.add_argument("--skills", nargs="*", default=list(SKILLS))
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(2)
    model, tokenizer, rng = evaluate.load_checkpoint(args.checkpoint), load_tokenizer(), random.Random(11)
    trained = [p for n, p in model.named_parameters() if "gate.weight" not in n and n != "model.norm.weight"]
    optimizer = torch.optim.AdamW(trained, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.0)
    end, step = time.time() + 60 * args.minutes, 0
    while time.time() < end:
        samples, reward = sample_groups(model, tokenizer, rng, args.prompts, args.group, args.skills)
        step += 1
        if samples:
            policy_loss(model, tokenizer, samples).backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            model.zero_grad()
        print(f"step {step} reward {reward:.3f} samples with a difference {len(samples)}", flush=True)
    torch.save(dict(model=model.state_dict()), args.out)


if __name__ == "__main__":
    main()
