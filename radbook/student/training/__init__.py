"""LoRA fine-tuning that goes on after a crash, adapters, and merging."""
