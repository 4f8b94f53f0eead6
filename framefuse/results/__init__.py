"""Results out: subscribing, watching, waiting for outcomes."""
