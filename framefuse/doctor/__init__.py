"""Whether everything a pipeline stands on is well, and which command mends what is not."""
