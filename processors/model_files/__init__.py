"""Where model files come from: a path, an object store, the web, Hugging Face; pinned, cached by content."""
