"""The Socket.IO machine: scripts, the namespace table, and anything at all."""
