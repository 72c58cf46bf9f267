"""Who carries out orders: this process, xdist workers, or workers on other machines."""
