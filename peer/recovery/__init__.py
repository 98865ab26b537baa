"""A person who comes back: the kit on paper, and friends who keep shares."""
