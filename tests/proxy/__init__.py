"""The recording reverse proxy: what it follows, what it writes, and that nobody sees it."""
