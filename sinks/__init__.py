"""Where results go: a topic (one transaction) or an object store (put-if-absent)."""
