"""Remote control."""
