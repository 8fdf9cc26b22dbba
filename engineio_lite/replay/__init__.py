"""Playing captures back: the server that was recorded to any client, and the client that was recorded to any server.

`admission` and `engine` are an Engine.IO server without I/O, `serving` puts it on a loopback address.
"""
