"""How the packaged base was made."""
