"""Executors of orders: this process, xdist workers, and workers on other machines."""
