"""The Engine.IO core: scripts, tables, a model of both servers, mutants, garbage."""
