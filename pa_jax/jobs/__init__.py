"""One module a config.job: the wiring that `main` dispatches to."""
