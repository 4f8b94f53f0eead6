"""How the two demo models are made, from nothing, on one machine."""
