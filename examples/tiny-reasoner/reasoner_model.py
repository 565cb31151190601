# SPDX-License-Identifier: Apache-2.0
"""DeepSeek-V3's network at toy size: latent attention, sigmoid-routed experts, YaRN and one next-token (MTP) layer.

Module names are those of a Hugging Face `deepseek_v3` folder, except that a layer's experts are stacked (export.py unstacks them).
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

CONFIG = dict(
    architectures=["DeepseekV3ForCausalLM"], model_type="deepseek_v3", vocab_size=768, hidden_size=192, num_hidden_layers=4,
    num_nextn_predict_layers=1, intermediate_size=384, moe_intermediate_size=96, n_routed_experts=16, n_shared_experts=1,
    num_experts_per_tok=2, n_group=1, topk_group=1, first_k_dense_replace=1, moe_layer_freq=1, scoring_func="sigmoid",
    topk_method="noaux_tc", norm_topk_prob=True, routed_scaling_factor=1.5, num_attention_heads=6, num_key_value_heads=6,
    q_lora_rank=96, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32, hidden_act="silu",
    attention_bias=False, attention_dropout=0.0, rms_norm_eps=1e-6, rope_theta=10000, max_position_embeddings=1024,
    rope_scaling=dict(type="yarn", factor=2, original_max_position_embeddings=512, beta_fast=32, beta_slow=1, mscale=1.0,
                      mscale_all_dim=1.0),
    tie_word_embeddings=False, initializer_range=0.02, ep_size=1, bos_token_id=0, eos_token_id=1, torch_dtype="float32")


def yarn_frequencies(c):
    """Angle per position of each rotated pair, as transformers computes it for rope type yarn."""
    s, dim, base = c["rope_scaling"], c["qk_rope_head_dim"], c["rope_theta"]
    plain = 1.0 / base ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)

    def pair_that_turns(n):
        return dim * math.log(s["original_max_position_embeddings"] / (n * 2 * math.pi)) / (2 * math.log(base))
    low = max(math.floor(pair_that_turns(s["beta_fast"])), 0)
    high = min(math.ceil(pair_that_turns(s["beta_slow"])), dim - 1)
    ramp = ((torch.arange(dim // 2, dtype=torch.float32) - low) / max(high - low, 0.001)).clamp(0, 1)
    return plain / s["factor"] * ramp + plain * (1 - ramp)


def softmax_scale(c):
    s = c["rope_scaling"]
    mscale = 0.1 * s["mscale_all_dim"] * math.log(s["factor"]) + 1.0
    return mscale * mscale / math.sqrt(c["qk_nope_head_dim"] + c["qk_rope_head_dim"])


def rotate(x, cos, sin):
    """Rotates neighbouring pairs; x is [batch, heads, positions, rope_dim]."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)


class Norm(nn.Module):
    def __init__(self, n, eps):
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(n)), eps

    def forward(self, x):
        return F.rms_norm(x.float(), (x.shape[-1],), self.weight, self.eps)


def linear(n_in, n_out):
    layer = nn.Linear(n_in, n_out, bias=False)
    nn.init.normal_(layer.weight, std=n_in ** -0.5)
    return layer


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.h, self.rank = c["hidden_size"], c["num_attention_heads"], c["kv_lora_rank"]
        self.nope, self.rope, self.v = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
        self.scale = softmax_scale(c)
        self.q_a_proj = linear(d, c["q_lora_rank"])
        self.q_a_layernorm = Norm(c["q_lora_rank"], c["rms_norm_eps"])
        self.q_b_proj = linear(c["q_lora_rank"], self.h * (self.nope + self.rope))
        self.kv_a_proj_with_mqa = linear(d, self.rank + self.rope)
        self.kv_a_layernorm = Norm(self.rank, c["rms_norm_eps"])
        self.kv_b_proj = linear(self.rank, self.h * (self.nope + self.v))
        self.o_proj = linear(self.h * self.v, d)

    def forward(self, x, angles, mask, cache=None):
        """mask [batch, 1, queries, keys] is added to the scores; cache is a list that keeps keys and values between calls."""
        b, t, _ = x.shape
        cos, sin = angles
        q = self.q_b_proj(self.q_a_layernorm(self.q_a_proj(x))).view(b, t, self.h, -1).transpose(1, 2)
        latent, k_rope = self.kv_a_proj_with_mqa(x).split((self.rank, self.rope), -1)
        kv = self.kv_b_proj(self.kv_a_layernorm(latent)).view(b, t, self.h, -1).transpose(1, 2)
        k_rope = rotate(k_rope[:, None], cos, sin).expand(b, self.h, t, self.rope)
        q = torch.cat((q[..., :self.nope], rotate(q[..., self.nope:], cos, sin)), -1)
        k = torch.cat((kv[..., :self.nope], k_rope), -1)
        v = kv[..., self.nope:]
        if cache is not None:
            if cache:
                k, v = torch.cat((cache[0], k), 2), torch.cat((cache[1], v), 2)
            cache[:] = [k, v]
        dtype = v.dtype
        scores = (q.to(dtype) * self.scale) @ k.to(dtype).transpose(-1, -2) + mask.to(dtype)
        out = scores.softmax(-1) @ v
        return self.o_proj(out.transpose(1, 2).reshape(b, t, -1))


class FeedForward(nn.Module):
    def __init__(self, d, n_ff):
        super().__init__()
        self.gate_proj, self.up_proj, self.down_proj = linear(d, n_ff), linear(d, n_ff), linear(n_ff, d)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Gate(nn.Module):
    def __init__(self, d, n):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, d) * 0.3 * d ** -0.5)
        self.register_buffer("e_score_correction_bias", torch.zeros(n))


class Experts(nn.Module):
    """A routed layer. Tokens are sorted by expert, so that each expert is one product over a stretch of rows."""

    def __init__(self, c):
        super().__init__()
        d, n_ff = c["hidden_size"], c["moe_intermediate_size"]
        self.n, self.k, self.scaling = c["n_routed_experts"], c["num_experts_per_tok"], c["routed_scaling_factor"]
        self.gate = Gate(d, self.n)
        self.gate_up = nn.Parameter(torch.randn(self.n, 2 * n_ff, d) * d ** -0.5)
        self.down = nn.Parameter(torch.randn(self.n, d, n_ff) * n_ff ** -0.5)
        self.shared_experts = FeedForward(d, n_ff * c["n_shared_experts"])
        self.load = torch.zeros(self.n)

    def forward(self, x):
        shape, x = x.shape, x.reshape(-1, x.shape[-1])
        with torch.autocast("cpu", enabled=False):
            scores = (x.float() @ self.gate.weight.t()).sigmoid()
        chosen = (scores.detach() + self.gate.e_score_correction_bias).topk(self.k, -1).indices
        weights = scores.gather(1, chosen)
        weights = weights / (weights.sum(-1, keepdim=True) + 1e-20) * self.scaling
        flat = chosen.reshape(-1)
        counts = torch.bincount(flat, minlength=self.n)
        if self.training:
            self.load += counts
        order = flat.argsort(stable=True)
        tokens, sizes = order // self.k, counts.tolist()
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype
        parts = x.to(dtype)[tokens].split(sizes)
        gate, up = torch.cat([F.linear(p, w) for p, w in zip(parts, self.gate_up.to(dtype).unbind())]).chunk(2, -1)
        parts = (F.silu(gate) * up).split(sizes)
        y = torch.cat([F.linear(p, w) for p, w in zip(parts, self.down.to(dtype).unbind())])
        y = y.float() * weights.reshape(-1)[order][:, None]
        out = torch.zeros_like(x, dtype=torch.float32).index_add(0, tokens, y)
        return (out + self.shared_experts(x)).view(shape)


class Layer(nn.Module):
    def __init__(self, c, is_dense):
        super().__init__()
        d, eps = c["hidden_size"], c["rms_norm_eps"]
        self.input_layernorm, self.self_attn = Norm(d, eps), Attention(c)
        self.post_attention_layernorm = Norm(d, eps)
        self.mlp = FeedForward(d, c["intermediate_size"]) if is_dense else Experts(c)

    def forward(self, x, angles, mask, cache=None):
        x = x + self.self_attn(self.input_layernorm(x), angles, mask, cache)
        return x + self.mlp(self.post_attention_layernorm(x))


class NextTokenLayer(Layer):
    """Predicts the token after next from a position's last hidden state and the next token; shares embedding and head."""

    def __init__(self, c):
        super().__init__(c, is_dense=False)
        d, eps = c["hidden_size"], c["rms_norm_eps"]
        self.enorm, self.hnorm, self.eh_proj = Norm(d, eps), Norm(d, eps), linear(2 * d, d)
        self.shared_head = nn.ModuleDict(dict(norm=Norm(d, eps)))

    def forward(self, embedded, hidden, angles, mask, cache=None):
        x = self.eh_proj(torch.cat((self.enorm(embedded), self.hnorm(hidden)), -1))
        return self.shared_head.norm(super().forward(x, angles, mask, cache))


class Reasoner(nn.Module):
    def __init__(self, config=CONFIG):
        super().__init__()
        c = self.config = config
        d = c["hidden_size"]
        n = c["num_hidden_layers"]
        self.model = nn.ModuleDict(dict(
            embed_tokens=nn.Embedding(c["vocab_size"], d),
            layers=nn.ModuleList([Layer(c, i < c["first_k_dense_replace"]) for i in range(n)] + [NextTokenLayer(c)]),
            norm=Norm(d, c["rms_norm_eps"])))
        self.lm_head = linear(d, c["vocab_size"])
        nn.init.normal_(self.model.embed_tokens.weight, std=0.5)
        for layer in self.model.layers:  # Residual branches start small.
            for name, p in layer.named_parameters():
                if name.endswith(("o_proj.weight", "down_proj.weight", "mlp.down")):
                    p.data.mul_(0.4)
        self.register_buffer("frequencies", yarn_frequencies(c), persistent=False)

    def angles(self, positions):
        a = positions[:, None, :, None].float() * self.frequencies
        return a.cos(), a.sin()

    def hidden(self, tokens, positions, mask, caches=None):
        """Hidden states after the last main layer, before the final norm."""
        x, angles = self.model.embed_tokens(tokens), self.angles(positions)
        for i, layer in enumerate(self.model.layers[:-1]):
            x = layer(x, angles, mask, caches[i] if caches else None)
        return x

    def causal_mask(self, t):
        return torch.full((t, t), -1e30).triu(1)[None, None]

    def logits(self, tokens):
        t = tokens.shape[1]
        x = self.hidden(tokens, torch.arange(t)[None], self.causal_mask(t))
        return self.lm_head(self.model.norm(x))

    def next_hidden(self, tokens, hidden, norm_first):
        """MTP states of positions 0..t-2: from hidden[i] and tokens[i + 1], they predict tokens[i + 2]."""
        if norm_first:
            hidden = self.model.norm(hidden)
        t = tokens.shape[1] - 1
        return self.model.layers[-1](self.model.embed_tokens(tokens[:, 1:]), hidden[:, :-1], self.angles(torch.arange(t)[None]),
                                     self.causal_mask(t))

    @torch.no_grad()
    def update_router_bias(self, speed):
        """Balance without an auxiliary loss: the bias of a layer's busy experts falls, of idle ones rises."""
        for layer in self.model.layers:
            if isinstance(layer.mlp, Experts):
                load = layer.mlp.load
                layer.mlp.gate.e_score_correction_bias += speed * torch.sign(load.mean() - load)
                load.zero_()
