"""`framefuse demo`: the whole pipeline on this machine, from nothing to a film."""
