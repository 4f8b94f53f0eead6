"""The pieces of a camera source: addresses, connections, time, and when a silent camera is given up."""
