"""Frames in: sources, publishers, how far they may run ahead."""
