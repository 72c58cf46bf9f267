"""Readers for the output of agent CLIs: lines become records, records become events, and events become usage."""
