"""The join stage: merges the two sorted logs of results into one outcome per frame."""
