"""What a model remembers while it reads many prompts at once: the shared beginning once, each prompt's own part in a slot.

A causal model turns every token into one key and one value per layer and looks back at them.
transformers keeps these in tensors that grow by copying and repeats a shared beginning for every prompt; here they are
written once into slots, and the shared beginning is looked at by all prompts together (the idea of Hydragen, Juravsky et
al. 2024, arXiv 2402.05099).
The model itself is the one of transformers, unchanged; the arithmetic of attention is the textbook's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

__all__ = ["Memory", "can_share", "rows_at_once"]

# Architectures whose attention is plain: one softmax over all earlier tokens, nothing else.
_PLAIN = ("llama", "mistral", "qwen2", "qwen3")
_NAME = "radbook_shared"
_TOKENS = 2048  # read at a time: attention holds a number for every pair of tokens in a row


def can_share(model: Any) -> bool:
    """Say whether `Memory` serves this model: a Llama-type model whose layers look back at every earlier token."""
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    windowed = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return config.model_type in _PLAIN and kinds == {"full_attention"} and not windowed


def rows_at_once(length: int, most: int) -> int:
    """Return how many rows of this many tokens are read together, at least one.

    >>> rows_at_once(100, 8), rows_at_once(1000, 8)
    (8, 2)
    """
    return max(1, min(most, _TOKENS // max(length, 1)))


class Memory:
    """Keys and values of `rows` prompts, up to `width` tokens each behind a shared `prefix`.

    transformers calls `update` as it would on a cache of its own and `_attend` as an attention function.
    """

    def __init__(self, model: Any, prefix: Sequence[int], *, rows: int, width: int) -> None:
        self.model, self.prefix = model, list(prefix)
        self.rows, self.width = rows, width
        self._shared: dict[int, tuple[Any, Any]] = {}
        self._own: dict[int, tuple[Any, Any]] = {}
        self._place: tuple[Any, Any, slice, int] | None = None

    @contextmanager
    def open(self) -> Iterator["Memory"]:
        """Lend the model this memory and read the prefix; the model is as before when the block ends."""
        import torch
        from transformers import AttentionInterface

        config = self.model.config
        before = config._attn_implementation
        AttentionInterface.register(_NAME, self._attend)
        config._attn_implementation = _NAME
        try:
            with torch.inference_mode():
                if self.prefix:
                    n = len(self.prefix)
                    self._forward([self.prefix], torch.arange(n)[None], self._causal(n), [n - 1])
                yield self
        finally:
            config._attn_implementation = before
            AttentionInterface._global_mapping.pop(_NAME, None)

    def read(self, prompts: Sequence[Sequence[int]], first: int) -> list[int]:
        """Read prompts, given without the prefix, into the slots from `first` on; return the most probable next tokens."""
        import torch

        n = max(map(len, prompts))
        rows = slice(first, first + len(prompts))
        self._place = rows, slice(0, n), rows, n
        # Padding stands behind a prompt, where none of its tokens looks, and is overwritten by the reply.
        tokens = [[*p, *[0] * (n - len(p))] for p in prompts]
        ends = sorted({len(p) - 1 for p in prompts})
        positions = torch.arange(n)[None] + len(self.prefix)
        logits = self._forward(tokens, positions, self._causal(n), ends)
        last = torch.tensor([ends.index(len(p) - 1) for p in prompts], device=logits.device)
        return logits[torch.arange(len(prompts), device=logits.device), last].argmax(-1).tolist()

    def step(self, tokens: Sequence[int], lengths: Sequence[int]) -> list[int]:
        """Read one more token in each of the first slots, which hold `lengths` tokens; return the next ones."""
        import torch

        end, device = max(lengths) + 1, self.model.device
        filled = torch.tensor(lengths, device=device)
        self._place = torch.arange(len(tokens), device=device), filled, slice(0, len(tokens)), end
        hidden = torch.arange(end, device=device) > filled[:, None]
        positions = filled[:, None] + len(self.prefix)
        logits = self._forward([[t] for t in tokens], positions, self._bias(hidden)[:, None, None], [0])
        return logits[:, 0].argmax(-1).tolist()

    def move(self, source: int, target: int, length: int) -> None:
        """Copy one slot over another."""
        for pair in self._own.values():
            for store in pair:
                store[target, :, :length] = store[source, :, :length]

    def logits(self, tokens: Any, positions: Any, hidden: Any, keep: Sequence[int]) -> Any:
        """Read rows of tokens where `hidden` (rows, tokens, tokens) says which do not see which; keep nothing of them.

        Returns the logits at the columns `keep`, shape (rows, len(keep), vocabulary).
        """
        rows = slice(0, len(tokens))
        self._place = rows, slice(0, len(tokens[0])), rows, len(tokens[0])
        return self._forward(tokens, positions + len(self.prefix), self._bias(hidden)[:, None], keep)

    def update(self, keys: Any, values: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Keep the keys and values of new tokens; return those that the tokens look back at, without the prefix."""
        if self._place is None:
            self._shared[layer] = keys, values
            return keys, values
        if layer not in self._own:
            shape = self.rows, keys.shape[1], self.width, keys.shape[3]
            # Zeros, not whatever was there: a hidden token counts zero times, and zero times NaN is NaN.
            self._own[layer] = keys.new_zeros(shape), values.new_zeros(shape)
        rows, columns, seen, end = self._place
        for store, new in zip(self._own[layer], (keys, values), strict=True):
            store[rows, :, columns] = new if isinstance(columns, slice) else new[:, :, 0]
        return tuple(store[seen, :, :end] for store in self._own[layer])

    def _forward(self, tokens: Any, positions: Any, mask: Any, keep: Sequence[int]) -> Any:
        import torch

        device = self.model.device
        return self.model(
            input_ids=torch.as_tensor(tokens, device=device),
            position_ids=positions.to(device),
            attention_mask=mask,
            past_key_values=self,
            use_cache=True,
            logits_to_keep=torch.tensor(keep, device=device),
        ).logits

    def _causal(self, n: int) -> Any:
        import torch

        return self._bias(torch.ones(n, n, dtype=torch.bool, device=self.model.device).triu(1))[None, None]

    def _bias(self, hidden: Any) -> Any:
        import torch

        model = self.model
        none = torch.zeros(hidden.shape, dtype=model.dtype, device=model.device)
        return none.masked_fill(hidden.to(model.device), torch.finfo(model.dtype).min)

    def _attend(
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, scaling: float, **_: Any
    ) -> tuple[Any, None]:
        import torch

        rows, heads, n, size = query.shape
        groups = key.shape[1]  # several query heads may share one head of keys
        if not self.prefix or self._place is None:
            key, value = (
                x.repeat_interleave(heads // groups, 1) if heads > groups else x for x in (key, value)
            )
            out = torch.nn.functional.scaled_dot_product_attention(
                query, key, value, attn_mask=attention_mask, scale=scaling
            )
            return out.transpose(1, 2), None
        # All rows ask the prefix at once, as if they were one long row; one softmax goes over both parts.
        keys, values = self._shared[module.layer_idx]
        length = keys.shape[2]
        query = (query * scaling).reshape(rows, groups, -1, size)
        asked = query.transpose(0, 1).reshape(1, groups, -1, size) @ keys.transpose(2, 3)
        asked = asked.view(groups, rows, -1, length).transpose(0, 1).reshape(rows, heads, n, length)
        scores = (query @ key.transpose(2, 3)).view(rows, heads, n, -1) + attention_mask
        weights = torch.cat([asked, scores], -1).softmax(-1, dtype=torch.float32).to(value.dtype)
        weights = weights.view(rows, groups, -1, weights.shape[-1])
        first = weights[..., :length].transpose(0, 1).reshape(1, groups, -1, length) @ values
        out = weights[..., length:] @ value + first.view(groups, rows, -1, size).transpose(0, 1)
        return out.reshape(rows, heads, n, size).transpose(1, 2), None
