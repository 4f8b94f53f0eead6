"""The documentation as a site: makes pages of docs/ and of the code. Not installed; no stage needs it."""
