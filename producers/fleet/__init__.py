"""Many cameras: the stage `camera` publishes the declared streams, shared with other publishers."""
