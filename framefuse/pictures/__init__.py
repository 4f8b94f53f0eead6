"""Pictures: decoding within limits, depth maps as PNG16, drawing results, video in and out."""
