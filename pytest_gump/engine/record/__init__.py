"""A run on disk: its folder, its ledger and the record that the ledger adds up to."""
