"""The world behind `producers.synthetic`: what stands in it, how it moves, how light falls on it."""
