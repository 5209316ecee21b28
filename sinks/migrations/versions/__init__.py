"""The migrations themselves, one SQL file each, applied in the order of their numbers; a released one never changes."""
