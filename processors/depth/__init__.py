"""The depth stage: a depth map of a frame, with its kind and scale."""
