"""The `framefuse` program: one file a command. It finds stages through entry points and imports none."""
