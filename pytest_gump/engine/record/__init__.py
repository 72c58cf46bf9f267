"""A run on disk: its folder, its ledger, and the record that is computed from the ledger."""
