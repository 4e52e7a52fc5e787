"""How the packaged tiny base was made: a small Llama that learns to read chest reports from generated text alone.

`python -m tools.pretrain --out FOLDER`, from the root of the repository.
"""
