"""The codec room: packets, payloads, the handshake, Socket.IO packets, and the command that shows them."""
