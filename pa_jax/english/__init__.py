"""Rules over English words that several layers share; no model, no JAX."""
