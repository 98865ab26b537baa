"""What people and their devices tell each other."""
