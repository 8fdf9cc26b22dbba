"""The tests. A package, so that helpers are imported by one unmistakable name (`from tests.peers import Peer`)."""
