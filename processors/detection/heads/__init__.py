"""The layouts of a detector's output, one a file, and the choice between them."""
