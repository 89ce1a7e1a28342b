"""RFC 6455 from the client's side without I/O: frames, handshake, compression, TLS, and errors in words."""
