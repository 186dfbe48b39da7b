"""The selective scan of a state space model: in plain torch, by a C kernel on CPUs, by mamba-ssm's on CUDA.

Paper: Gu & Dao 2023 (Mamba), https://arxiv.org/abs/2312.00752, section 3.
h_t = exp(delta_t A) h_(t-1) + delta_t B_t u_t;  y_t = C_t h_t + D u_t, per channel, states of size S.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from segplug.models.scsegamba.orders import ScanOrders
from yoloplug.native import selective_scan as kernel
from yoloplug.native.use import applies

STEPS = 64
"""Steps of a chunk where chunks go one by one: the states of one fit a processor's cache."""


def scan_paths(
    x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, orders: ScanOrders, as_published: bool
) -> Tensor:
    """Scan the pixels of x (N, L, E) along each of K orders and add up what each pixel gets: (N, L, E).

    The others are `selective_scan`'s. as_published: `orders.inverse` does not undo `orders.order`.
    """
    if not as_published and applies(x, delta, a, b, c, d):
        return kernel.scan_paths(x, delta, a, b, c, d, orders.order, orders.order)
    y = selective_scan(x[:, orders.order], delta, a, b, c, d)
    return torch.stack([y[:, k, inverse] for k, inverse in enumerate(orders.inverse)]).sum(0)


def selective_scan(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, d: Tensor, chunk: int = 0, parallel: bool | None = None
) -> Tensor:
    """Scan K sequences that share step sizes: SAVSS permutes its input four ways, but not delta and C.

    u: (N, K, L, E) inputs. delta: (N, L, E), positive. a: (E, S), negative. b: (N, K, L, S). c: (N, L, S). d: (E,).
    Returns (N, K, L, E). chunk: steps of one chunk, 0 chooses. parallel: all chunks advance together, which costs a
    second pass and takes fewer, larger operations; None: everywhere but on a CPU, where chunks follow one another.
    The backward pass computes the states again instead of keeping them. On CUDA mamba-ssm's kernel is used where it is
    installed, on a CPU yoloplug's, unless one of the two is given.
    """
    if not chunk and parallel is None and applies(u, delta, a, b, c, d):
        return kernel.selective_scan(u, delta, a, b, c, d)
    if u.is_cuda and importlib.util.find_spec("mamba_ssm") is not None:
        return _by_kernel(u, delta, a, b, c) + u * d
    together = u.device.type != "cpu" if parallel is None else parallel
    length = u.shape[2]
    steps = min(length, chunk or (max(1, round(length**0.5)) if together else STEPS))
    return _Scan.apply(u, delta, a, b, c, steps, together) + u * d


class _Scan(torch.autograd.Function):
    """Inside, a sequence is (steps, N, K, chunks, S, E), 1 where it has no such axis; a state lacks the first axis."""

    @staticmethod
    def forward(
        ctx: Any, u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, steps: int, together: bool
    ) -> Tensor:
        rates, inputs, into, out, a_rows = _cut(u, delta, a, b, c, steps)
        y = torch.empty_like(inputs)
        state = u.new_zeros(*u.shape[:2], 1, a.shape[1], a.shape[0])
        starts = []
        for part in _groups(inputs.shape[3], together):
            decay, x, b_part = torch.exp(rates[:, :, :, part] * a_rows), inputs[:, :, :, part], into[:, :, :, part]
            if together:
                zeros = state.new_zeros(*state.shape[:2], x.shape[3], *state.shape[3:])
                local = _last_state(zeros, decay, x, b_part)
                state = _hand_on(local, decay.prod(0))
            starts.append(state.clone())
            for t in range(steps):
                state = state.mul_(decay[t]).addcmul_(b_part[t], x[t])
                y[t, :, :, part] = out[t, :, :, part].mT @ state
        ctx.save_for_backward(u, delta, a, b, c, *starts)
        ctx.steps, ctx.together = steps, together
        return _join(y, u.shape[2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        u, delta, a, b, c, *starts = ctx.saved_tensors
        steps, together, length = ctx.steps, ctx.together, u.shape[2]
        rates, inputs, into, out, a_rows = _cut(u, delta, a, b, c, steps)
        dy = _chunks(gradients[0], steps, -2)
        d_inputs, d_into = torch.empty_like(inputs), torch.empty_like(into)
        d_out, d_rates, d_a = torch.empty_like(out), torch.empty_like(rates), torch.zeros_like(a_rows)
        d_state = torch.zeros_like(starts[0][:, :, :1])
        groups = _groups(inputs.shape[3], together)
        for part, start in zip(reversed(groups), reversed(starts), strict=True):
            decay, x, b_part = torch.exp(rates[:, :, :, part] * a_rows), inputs[:, :, :, part], into[:, :, :, part]
            c_part, dy_part = out[:, :, :, part], dy[:, :, :, part]
            if together:
                local = _first_gradient(torch.zeros_like(start), decay, c_part, dy_part)
                d_state = _hand_on(local.flip(2), decay.prod(0).flip(2)).flip(2)
            states = start.new_empty(steps + 1, *start.shape)  # before each step, and at the end
            states[0] = start
            for t in range(steps):
                torch.mul(states[t], decay[t], out=states[t + 1]).addcmul_(b_part[t], x[t])
            d_states = start.new_empty(steps, *start.shape)
            for t in reversed(range(steps)):
                d_state = d_state.addcmul_(c_part[t], dy_part[t])
                d_states[t] = d_state
                d_state = d_state.mul_(decay[t])
            d_out[:, :, :, part] = (states[1:] @ dy_part.mT).sum(2, keepdim=True)
            d_into[:, :, :, part] = d_states @ x.mT
            d_inputs[:, :, :, part] = b_part.mT @ d_states
            d_exponent = (d_states * states[:-1]).sum(2, keepdim=True) * decay
            d_rates[:, :, :, part] = (d_exponent * a_rows).sum(-2, keepdim=True)
            d_a += (d_exponent * rates[:, :, :, part]).sum((0, 1, 2, 3))
        d_x = _join(d_inputs, length)
        d_delta = _join(d_rates, length)[:, 0] + (d_x * u).sum(1)
        d_b, d_c = _join(d_into.mT, length), _join(d_out.mT, length)[:, 0]
        return d_x * delta[:, None], d_delta, d_a.t(), d_b, d_c, None, None


def _cut(
    u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Step sizes, inputs, B and C in chunks, and A as (S, E)."""
    rates, inputs = _chunks(delta[:, None], steps, -2), _chunks(delta[:, None] * u, steps, -2)
    return rates, inputs, _chunks(b, steps, -1), _chunks(c[:, None], steps, -1), a.t().contiguous()


def _chunks(x: Tensor, steps: int, new_axis: int) -> Tensor:
    """(N, K, L, F) -> (steps, N, K, chunks, 1, F), or F, 1 at the end. Padded
    steps have delta 0: they keep the state."""
    count = -(-x.shape[2] // steps)
    x = torch.nn.functional.pad(x, (0, 0, 0, count * steps - x.shape[2]))
    return x.unflatten(2, (count, steps)).movedim(3, 0).unsqueeze(new_axis).contiguous()


def _join(x: Tensor, length: int) -> Tensor:
    """(steps, N, K, chunks, 1, F) -> (N, K, L, F)"""
    return x.squeeze(-2).movedim(0, 3).flatten(2, 3)[:, :, :length]


def _groups(chunks: int, together: bool) -> list[slice]:
    return [slice(None)] if together else [slice(i, i + 1) for i in range(chunks)]


def _last_state(state: Tensor, decay: Tensor, x: Tensor, b: Tensor) -> Tensor:
    for t in range(len(decay)):
        state = state.mul_(decay[t]).addcmul_(b[t], x[t])
    return state


def _first_gradient(d_state: Tensor, decay: Tensor, c: Tensor, dy: Tensor) -> Tensor:
    for t in reversed(range(len(decay))):
        d_state = d_state.addcmul_(c[t], dy[t]).mul_(decay[t])
    return d_state


def _hand_on(local: Tensor, whole: Tensor) -> Tensor:
    """What each chunk gets from those before it, (N, K, chunks, S, E): `local` is each one's own end from zero, `whole`
    its decay from end to end."""
    handed = [torch.zeros_like(local[:, :, 0])]
    for i in range(local.shape[2] - 1):
        handed.append(torch.addcmul(local[:, :, i], whole[:, :, i].expand_as(handed[-1]), handed[-1]))
    return torch.stack(handed, dim=2)


def _by_kernel(u: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The same by mamba-ssm, whose layout is (batch, features, L)."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    def rows(x: Tensor) -> Tensor:
        return x.flatten(0, 1).transpose(1, 2).contiguous()

    k = u.shape[1]
    shared = [rows(x[:, None].expand(-1, k, -1, -1)) for x in (delta, c)]
    y = selective_scan_fn(rows(u), shared[0], a, rows(b), shared[1])
    return y.transpose(1, 2).unflatten(0, (-1, k)).to(u.dtype)
