"""Extremal problems with closed-form answers: reading a reply, comparing forms, and auditing labels by search."""
