"""Pictures for the README, of the real thing in a real browser: `make screenshots`."""
