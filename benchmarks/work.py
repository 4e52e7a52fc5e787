"""What training computes, and how fast this device multiplies matrices: the two sides of a fraction of the chip's rate."""

import time
from collections.abc import Iterable, Sequence

_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def layer_shapes(config: object) -> dict[str, tuple[int, int]]:
    """Return inputs and outputs of each linear layer of one block of a Llama."""
    width, inner = config.hidden_size, config.intermediate_size
    head = getattr(config, "head_dim", None) or width // config.num_attention_heads
    queries, keys = head * config.num_attention_heads, head * config.num_key_value_heads
    shapes = [
        (width, queries),
        (width, keys),
        (width, keys),
        (queries, width),
        (width, inner),
        (width, inner),
        (inner, width),
    ]
    return dict(zip(_LAYERS, shapes, strict=True))


def work_per_token(
    config: object, *, length: float, trained: float, rank: int, targets: Iterable[str] = _LAYERS
) -> float:
    """Return the floating-point operations that a LoRA training takes per token, on average.

    A matrix of N numbers takes 2N to go forward and 2N to send the error back.
    Only LoRA's own take another 2N, for their gradients; the head is needed for trained tokens alone.
    Attention takes 4 x width x length per block forward, and twice that back.
    What is computed a second time to save memory does not count.

    Parameters
    ----------
    config
        Of a Llama.
    length, trained
        Tokens of a row, and how many of them are learned, on average.
    rank, targets
        Of the adapter.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> shape = dict(hidden_size=1, intermediate_size=1, num_attention_heads=1, num_key_value_heads=1)
    >>> one = SimpleNamespace(num_hidden_layers=1, vocab_size=10, **shape)
    >>> work_per_token(one, length=2, trained=1, rank=0)  # 4 x (7 + 10 / 2) + 12 x 2
    72.0
    """
    shapes = layer_shapes(config)
    frozen = sum(a * b for a, b in shapes.values())
    adapter = sum(rank * (shapes[name][0] + shapes[name][1]) for name in targets)
    head = config.vocab_size * config.hidden_size * trained / length
    queries = shapes["q_proj"][1]
    return config.num_hidden_layers * (4 * frozen + 6 * adapter + 12 * queries * length) + 4 * head


def matrix_rate(
    device: str, kind: str, shapes: Sequence[tuple[int, int, int]], *, seconds: float = 0.5
) -> float:
    """Return operations per second in products of matrices of `shapes` (rows, inputs, outputs), by the processor's clock."""
    import torch

    dtype, cuda = getattr(torch, kind), device.startswith("cuda")
    pairs = [
        (torch.randn(m, k, device=device).to(dtype), torch.randn(k, n, device=device).to(dtype))
        for m, k, n in shapes
    ]
    work, rounds = sum(2 * m * k * n for m, k, n in shapes), 0
    clock = time.perf_counter if cuda else time.process_time
    wait = torch.cuda.synchronize if cuda else (lambda: None)
    for a, b in pairs:
        a @ b
    wait()
    start = clock()
    while clock() - start < seconds:
        for a, b in pairs:
            a @ b
        wait()
        rounds += 1
    return work * rounds / (clock() - start)
