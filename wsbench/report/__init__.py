"""From a result to bytes: .hlog, .hgrm, CSV, JSON. No clock, no network; writing files is the caller's job."""
