"""Checkpoints in and out: Hugging Face folders, GGUF files, and where they come from."""
