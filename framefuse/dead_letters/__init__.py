"""The dead letters: what is in them, one case a frame, and their way back into `frames`."""
