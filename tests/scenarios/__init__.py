"""The scenarios that come with wsbench, against real servers."""
