"""The detection stage: objects of a frame, in pixels of the frame."""
