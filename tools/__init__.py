"""What made something that the library ships, and is not needed to use it."""
