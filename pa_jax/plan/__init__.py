"""What a step would need on a TPU slice one does not have: compiled for it, not run."""
