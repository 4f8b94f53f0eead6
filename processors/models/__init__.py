"""The two demo models and their card: data, no code."""
