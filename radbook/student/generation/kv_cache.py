"""What a model remembers while it reads many prompts at once: the shared beginning once, each prompt's own part in a slot.

A causal model turns every token into one key and one value per layer and looks back at them.
transformers keeps these in tensors that grow by copying and repeats a shared beginning for every prompt; here they are
written once into slots, and the shared beginning is looked at by all prompts together (the idea of Hydragen, Juravsky et
al. 2024, arXiv 2402.05099).
The arithmetic of attention is the textbook's.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from radbook.student.generation.fast_llama import LeanLlama

__all__ = ["Memory", "can_share", "rows_at_once"]

# Architectures whose attention is plain: one softmax over all earlier tokens, nothing else.
_PLAIN = ("llama", "mistral", "qwen2", "qwen3")
_NAME = "radbook_shared"
_TOKENS = 2048  # read at a time: attention holds a number for every pair of tokens in a row
_NEIGHBORS = 16  # slots looked at together, as far as the longest of them reaches


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

    A small plain Llama on a CPU is read by `LeanLlama`; any other model runs its own forward pass, which calls `update`
    as it would on a cache of transformers and `_attend` as an attention function.
    """

    def __init__(self, model: Any, prefix: Sequence[int], *, rows: int, width: int) -> None:
        self.model, self.prefix = model, list(prefix)
        self.rows, self.width = rows, width
        self._lean = LeanLlama(model) if LeanLlama.fits(model) else None
        self._shared: dict[int, tuple[Any, Any]] = {}
        self._own: dict[int, tuple[Any, Any]] = {}
        # Slots and columns that new tokens go to; none while the prefix is read.
        self._place: tuple[Any, Any] | None = None
        # Which slots are looked at, how far, and what is added to hide a token: one entry for each group of rows.
        self._views: list[tuple[slice, int, Any]] = []

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
                    self._views = [(slice(0, 1), n, self._causal(n))]
                    self._logits([self.prefix], torch.arange(n)[None], torch.tensor([[n - 1]]))
                yield self
        finally:
            config._attn_implementation = before
            AttentionInterface._global_mapping.pop(_NAME, None)

    def read(self, prompts: Sequence[Sequence[int]], first: int) -> list[int]:
        """Read prompts, given without the prefix, into the slots from `first` on; return the most probable next tokens."""
        import torch

        n, size = max(map(len, prompts)), len(prompts)
        slots = slice(first, first + size)
        self._place, self._views = (slots, slice(0, n)), [(slots, n, self._causal(n))]
        # Padding stands behind a prompt, where none of its tokens looks, and is overwritten by the reply.
        tokens = [[*p, *[0] * (n - len(p))] for p in prompts]
        positions = torch.arange(n)[None] + len(self.prefix)
        ends = torch.tensor([[len(p) - 1] for p in prompts])
        return self._logits(tokens, positions, ends)[:, 0].argmax(-1).tolist()

    def step(self, tokens: Sequence[Sequence[int]], lengths: Sequence[int]) -> list[list[int]]:
        """Read as many more tokens in each of the first slots, which hold `lengths` tokens; return what follows each."""
        import torch

        device, size, more = self.model.device, len(tokens), torch.arange(len(tokens[0]))
        columns = (torch.tensor(lengths)[:, None] + more).to(device)
        reach = max(lengths) + len(more)
        hidden = self._bias(torch.arange(reach, device=device) > columns[..., None])[:, None]
        self._place, self._views = (torch.arange(size, device=device)[:, None], columns), []
        for first in range(0, size, _NEIGHBORS):
            slots = slice(first, min(first + _NEIGHBORS, size))
            end = max(lengths[slots]) + len(more)
            self._views.append((slots, end, hidden[slots, ..., :end]))
        logits = self._logits(tokens, columns + len(self.prefix), more.expand(size, -1))
        return logits.argmax(-1).tolist()

    def move(self, source: int, target: int, length: int) -> None:
        """Copy one slot over another."""
        for pair in self._own.values():
            for store in pair:
                store[target, :, :length] = store[source, :, :length]

    def logits(self, tokens: Any, positions: Any, hidden: Any, columns: Any) -> Any:
        """Read rows of tokens where `hidden` (rows, tokens, tokens) says which do not see which; keep nothing of them.

        Returns the logits at the `columns` (rows, k) of each row, shape (rows, k, vocabulary).
        """
        every, n = slice(0, len(tokens)), len(tokens[0])
        self._place, self._views = (every, slice(0, n)), [(every, n, self._bias(hidden)[:, None])]
        return self._logits(tokens, positions + len(self.prefix), columns)

    def update(self, keys: Any, values: Any, layer: int, *_: Any, **__: Any) -> tuple[Any, Any]:
        """Keep the keys and values of new tokens."""
        if self._place is None:
            self._shared[layer] = keys, values
            return keys, values
        if layer not in self._own:
            shape = self.rows, keys.shape[1], self.width, keys.shape[3]
            # Zeros, not whatever was there: a hidden token counts zero times, and zero times NaN is NaN.
            self._own[layer] = keys.new_zeros(shape), values.new_zeros(shape)
        slots, columns = self._place
        for store, new in zip(self._own[layer], (keys, values), strict=True):
            store[slots, :, columns] = new if isinstance(columns, slice) else new.transpose(1, 2)
        return self._own[layer]

    def narrow(self, columns: Any) -> None:
        """Let only some `columns` (rows, k) of the tokens that are being read look back."""
        import torch

        views, first = self._views, 0
        self._views = []
        for slots, end, bias in views:
            asked = columns[first : first + slots.stop - slots.start]
            rows = torch.arange(len(asked), device=asked.device)[:, None]
            narrowed = bias.expand(len(asked), -1, -1, -1)[rows, 0, asked][:, None]
            self._views.append((slots, end, narrowed))
            first += len(asked)

    def attend(self, layer: int, query: Any) -> Any:
        """Mix the values that each query (rows, heads, tokens, size), scaled, looks back at."""
        import torch

        own, shared = (
            (self._own[layer], self._shared.get(layer)) if self._place else (self._shared[layer], None)
        )
        mixed, first = [], 0
        for slots, end, bias in self._views:
            rows = query[first : first + slots.stop - slots.start]
            mixed.append(_mix(rows, *(store[slots, :, :end] for store in own), bias, shared))
            first += len(rows)
        return torch.cat(mixed)

    def _logits(self, tokens: Any, positions: Any, columns: Any) -> Any:
        import torch

        device = self.model.device
        tokens = torch.as_tensor(tokens, device=device)
        positions, columns = positions.to(device), columns.to(device)
        if self._lean:
            return self._lean.logits(tokens, positions, columns, self)
        kept, places = columns.unique(return_inverse=True)
        logits = self.model(
            input_ids=tokens,
            position_ids=positions,
            attention_mask=self._views[0][2],
            past_key_values=self,
            use_cache=True,
            logits_to_keep=kept,
        ).logits
        return logits[torch.arange(len(tokens), device=device)[:, None], places]

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
        return self.attend(module.layer_idx, query * scaling), None


def _mix(query: Any, keys: Any, values: Any, bias: Any, shared: tuple[Any, Any] | None) -> Any:
    """Attention of some rows to their own keys and to the shared ones, with one softmax over both."""
    import torch

    rows, heads, n, size = query.shape
    groups, own = keys.shape[1], keys.shape[2]  # several query heads may share one head of keys
    first = shared[0].shape[2] if shared else 0
    query = query.reshape(rows, groups, -1, size)
    scores = query.new_empty(rows, heads, n, first + own)
    asked = torch.bmm(query.flatten(0, 1), keys.flatten(0, 1).mT).view(rows, heads, n, own)
    torch.add(asked, bias, out=scores[..., first:])
    if shared:
        # All rows ask the prefix at once, as if they were one long row.
        asked = query.transpose(0, 1).reshape(groups, -1, size) @ shared[0][0].mT
        asked = asked.view(groups, rows, -1, first).transpose(0, 1)
        scores.view(rows, groups, -1, first + own)[..., :first] = asked
    weights = scores.softmax(-1, dtype=torch.float32).to(values.dtype).view(rows, groups, -1, first + own)
    out = torch.bmm(weights[..., first:].flatten(0, 1), values.flatten(0, 1)).view(rows, groups, -1, size)
    if shared:
        seen = weights[..., :first].transpose(0, 1).reshape(groups, -1, first) @ shared[1][0]
        out += seen.view(groups, rows, -1, size).transpose(0, 1)
    return out.view(rows, heads, n, size).transpose(1, 2)
