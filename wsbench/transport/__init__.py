"""RFC 6455 from the client's side: frames, handshake and its diagnosis, TLS, and the connection on gevent."""
