"""Pictures for the README, taken in a browser from real runs: `make screenshots`."""
