"""Cassettes with recorded attempts, and the replay agent that plays them."""
