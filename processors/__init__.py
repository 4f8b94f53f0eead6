"""What is computed on frames: detection, depth, and the join of both."""
