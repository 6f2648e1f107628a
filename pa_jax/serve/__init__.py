"""The agent behind HTTP: OpenAI's chat completions, profiles, metrics, and a web page."""
