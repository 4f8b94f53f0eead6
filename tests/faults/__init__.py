"""What is promised, proven while things break: real processes, a real broker, real signals.

`make test-faults` runs all of it; `make test` runs what is not marked `storm`.
"""
