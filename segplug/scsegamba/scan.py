"""The selective scan of a state space model, in plain torch and through mamba-ssm's kernel.

Paper: Gu & Dao 2023 (Mamba), https://arxiv.org/abs/2312.00752, section 3.
h_t = exp(delta_t A) h_(t-1) + delta_t B_t u_t;  y_t = C_t h_t + D u_t, per channel, states of size S.
"""

from __future__ import annotations

import importlib.util

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

__all__ = ["selective_scan"]

BLOCK = 128
"""Features scanned together: their states fit the processor's cache, and in training they bound its memory."""


def selective_scan(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int = 0) -> Tensor:
    """Scan K sequences that share step sizes: SAVSS permutes its input four ways, but not delta and C.

    u: (N, K, L, E) inputs. delta: (N, L, E), positive. a: (E, S), negative. b: (N, K, L, S). c: (N, L, S). d: (E,).
    Returns (N, K, L, E). chunk: steps of one chunk, 0 chooses about the root of L. In training the states are computed
    again in the backward pass instead of being kept. On CUDA mamba-ssm's kernel is used where it is installed.
    """
    if u.is_cuda and importlib.util.find_spec("mamba_ssm") is not None:
        return _by_kernel(u, delta, a, b, c) + u * d
    learning = torch.is_grad_enabled() and any(t.requires_grad for t in (u, delta, a, b, c))
    parts = []
    for features in zip(u.split(BLOCK, -1), delta.split(BLOCK, -1), a.split(BLOCK), strict=True):
        inputs = (*features, b, c, chunk)
        parts.append(checkpoint(_by_chunks, *inputs, use_reentrant=False) if learning else _by_chunks(*inputs))
    return torch.cat(parts, dim=-1) + u * d


def _by_chunks(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, chunk: int) -> Tensor:
    """All chunks advance together, one step at a time: first from zero, to learn which state each chunk hands on to
    the next, then from the state it was handed.

    Python runs 2 * chunk + L / chunk steps instead of L.
    """
    n, k, length, e = u.shape
    steps = min(length, chunk or max(1, round(length**0.5)))
    chunks = -(-length // steps)
    pad = chunks * steps - length  # padded steps have delta 0: they keep the state

    def cut(x: Tensor) -> Tensor:
        """(…, L, F) -> (steps, …, chunks, F)"""
        x = torch.nn.functional.pad(x, (0, 0, 0, pad))
        return x.unflatten(-2, (chunks, steps)).movedim(-2, 0)

    rates, inputs, into, out = cut(delta), cut(delta[:, None] * u), cut(b), cut(c)
    state = u.new_zeros(n, k, chunks, e, a.shape[1])
    for t in range(steps):
        state = _step(state, torch.exp(rates[t, ..., None] * a)[:, None], inputs[t], into[t])
    whole = torch.exp(rates.sum(0)[..., None] * a)[:, None]  # decay over a whole chunk
    handed = [torch.zeros_like(state[:, :, 0])]
    for i in range(chunks - 1):
        handed.append(torch.addcmul(state[:, :, i], whole[:, :, i], handed[-1]))
    state = torch.stack(handed, dim=2)
    outputs = []
    for t in range(steps):
        state = _step(state, torch.exp(rates[t, ..., None] * a)[:, None], inputs[t], into[t])
        outputs.append((state @ out[t, :, None, ..., None]).squeeze(-1))
    return torch.stack(outputs, dim=3).reshape(n, k, chunks * steps, e)[:, :, :length]


def _step(state: Tensor, decay: Tensor, inputs: Tensor, into: Tensor) -> Tensor:
    """The next state, (N, K, chunks, E, S); in the same memory where no gradient will ask for the last one."""
    if torch.is_grad_enabled():
        return torch.addcmul(decay * state, inputs[..., None], into[..., None, :])
    return state.mul_(decay).addcmul_(inputs[..., None], into[..., None, :])


def _by_kernel(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The same by mamba-ssm, whose layout is (batch, features, L)."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    def rows(x: Tensor) -> Tensor:
        return x.flatten(0, 1).transpose(1, 2).contiguous()

    k = u.shape[1]
    shared = [rows(x[:, None].expand(-1, k, -1, -1)) for x in (delta, c)]
    y = selective_scan_fn(rows(u), shared[0], a, rows(b), shared[1])
    return y.transpose(1, 2).unflatten(0, (-1, k)).to(u.dtype)
