"""Recorded attempts, and the replay agent that plays them."""
