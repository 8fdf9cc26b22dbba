"""Other people's recordings, read."""
