"""What crossed the door: recording it, reading it, playing it again."""
