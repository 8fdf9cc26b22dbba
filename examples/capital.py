"""Asks either service: What is the capital of France?

See ask.py beside it for how to start it.
"""

from __future__ import annotations

from ask import main

if __name__ == "__main__":
    main("What is the capital of France?")
