"""What should be published: the declared streams, where they are kept, and the credentials they refer to."""
