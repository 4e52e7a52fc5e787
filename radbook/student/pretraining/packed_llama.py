"""The forward pass of a Llama over a fixed number of tokens, for training from scratch.

It computes what `transformers` computes with the same weights, in bfloat16 and with a constant shape: the rows of a batch
lie one after the other, so everything but attention sees the same `n_tokens` rows each step and is compiled once.
On a CPU with bfloat16 units a training step takes about half the time.
"""

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["PackedLlama", "can_compile"]


class PackedLlama:
    """Run a `LlamaForCausalLM` on packed batches; its parameters are used as they are and get the gradients.

    Parameters
    ----------
    model
        The model; as many key heads as query heads.
    n_tokens
        Tokens of every batch, padding included.
    dtype
        What activations and weights are cast to for the products; float32 where there are no bfloat16 units.
    compiled
        Fuse what lies between the products with `torch.compile`, which needs a C++ compiler on a CPU.

    Examples
    --------
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> shape = {"hidden_size": 32, "num_attention_heads": 2, "intermediate_size": 64, "num_hidden_layers": 2}
    >>> llama = LlamaForCausalLM(LlamaConfig(vocab_size=99, **shape)).eval()
    >>> ids = torch.arange(48)
    >>> packed = PackedLlama(llama, 48, dtype=torch.float32, compiled=False)
    >>> both = packed.hidden(ids, 16).view(3, 16, 32), llama.model(ids.view(3, 16)).last_hidden_state
    >>> torch.allclose(*both, atol=1e-5)
    True
    """

    def __init__(self, model: Any, n_tokens: int, *, dtype: torch.dtype, compiled: bool) -> None:
        config = model.config
        self.model, self.n_tokens, self.dtype = model, n_tokens, dtype
        self.heads, self.head_width = config.num_attention_heads, config.head_dim
        self.eps = config.rms_norm_eps
        half = torch.arange(0, self.head_width, 2, device=model.device) / self.head_width
        self.frequencies = 1.0 / config.rope_parameters["rope_theta"] ** half
        self._before: Callable = self._project
        self._after: Callable = self._transform
        if compiled:
            self._before, self._after = _compiled(self._project), _compiled(self._transform)

    def hidden(self, ids: Tensor, width: int) -> Tensor:
        """Return the normed hidden states (n_tokens, hidden size) of ids (n_tokens), rows of `width` one after the other.

        A row sees itself alone. What is left behind the last whole row is padding, and its states mean nothing.
        """
        rows = self.n_tokens // width
        angles = (torch.arange(self.n_tokens, device=ids.device) % width)[:, None] * self.frequencies
        turn = angles.cos()[:, None], angles.sin()[:, None]
        # A large finite number: bfloat16 has no room for the smallest float32, and -inf gives NaN in the backward pass.
        later = torch.full((width, width), -1e4, device=ids.device).triu(1).to(self.dtype)
        hidden = F.embedding(ids, self.model.model.embed_tokens.weight)
        for layer in self.model.model.layers:
            attention, mlp = layer.self_attn, layer.mlp
            joined = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
            query, key, value = self._before(
                hidden, layer.input_layernorm.weight, torch.cat(joined).to(self.dtype), *turn
            )
            hidden = self._after(
                hidden,
                self._attend(query, key, value, rows, width, later),
                attention.o_proj.weight.to(self.dtype),
                layer.post_attention_layernorm.weight,
                torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).to(self.dtype),
                mlp.down_proj.weight.to(self.dtype),
            )
        return self._norm(hidden, self.model.model.norm.weight)

    def logits(self, hidden: Tensor) -> Tensor:
        """Return the float32 logits of some hidden states."""
        return F.linear(hidden, self.model.lm_head.weight.to(self.dtype)).float()

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * weight).to(self.dtype)

    def _turned(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        one, two = x.view(-1, self.heads, self.head_width).float().chunk(2, -1)
        return torch.cat((one * cos - two * sin, two * cos + one * sin), -1).to(self.dtype)

    def _project(
        self, hidden: Tensor, norm: Tensor, joined: Tensor, cos: Tensor, sin: Tensor
    ) -> tuple[Tensor, ...]:
        query, key, value = F.linear(self._norm(hidden, norm), joined).chunk(3, -1)
        value = value.reshape(-1, self.heads, self.head_width)
        return self._turned(query, cos, sin), self._turned(key, cos, sin), value

    def _transform(
        self, hidden: Tensor, attended: Tensor, out: Tensor, norm: Tensor, joined: Tensor, down: Tensor
    ) -> Tensor:
        hidden = hidden + F.linear(attended, out)
        gate, up = F.linear(self._norm(hidden, norm), joined).chunk(2, -1)
        return hidden + F.linear(F.silu(gate) * up, down)

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, rows: int, width: int, later: Tensor
    ) -> Tensor:
        """Plain attention: on short rows it trains faster on a CPU than the fused kernel, whose backward pass is slow."""

        def by_head(x: Tensor) -> Tensor:
            x = x[: rows * width].view(rows, width, self.heads, self.head_width)
            return x.transpose(1, 2).reshape(rows * self.heads, width, self.head_width)

        query, key, value = by_head(query), by_head(key), by_head(value)
        later = later.expand(rows * self.heads, width, width)
        weights = torch.softmax(torch.baddbmm(later, query, key.mT, alpha=self.head_width**-0.5), -1)
        mixed = torch.bmm(weights, value).view(rows, self.heads, width, self.head_width)
        mixed = mixed.transpose(1, 2).reshape(rows * width, -1)
        return F.pad(mixed, (0, 0, 0, self.n_tokens - rows * width))


def _compiled(function: Callable) -> Callable:
    def quietly(call: Callable, *arguments: Any, **options: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the compiler's own making
            return call(*arguments, **options)

    return partial(quietly, quietly(torch.compile, function, dynamic=False))


def can_compile() -> bool:
    """Say whether `torch.compile` works here; where it does not, one warning says why training is slower."""
    try:
        _compiled(lambda x: x * 2 + 1)(torch.ones(8))
    except Exception as error:  # it raises many kinds
        warnings.warn(
            f"torch.compile cannot be used here ({type(error).__name__}); training is slower", stacklevel=2
        )
        return False
    return True
