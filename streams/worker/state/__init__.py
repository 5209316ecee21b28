"""State of one journal partition: local rows, the changelog that restores them, and where both stand."""
