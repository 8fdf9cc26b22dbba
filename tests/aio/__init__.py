"""The asyncio drivers against servers on loopback: honest ones, real ones, and ones that lie."""
