"""The only folder that seals and opens; nothing else of the program holds a secret key."""
