"""What happens, one module a function: load, decide by pure calls, apply. Read these first."""
