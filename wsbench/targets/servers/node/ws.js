// ws: text as text, binary as binary. GET /stats returns the counts of the worker that answers.
"use strict";

const { WebSocketServer } = require("ws");
const { MAX_MESSAGE_BYTES, options, run } = require("./program.js");

const stats = { connections: 0, messages_in: 0, bytes_in: 0, extensions: {} };

function answer(request, response) {
  const known = request.url === "/stats";
  const body = known ? JSON.stringify(stats) : "no such page\n";
  response.writeHead(known ? 200 : 404, { "Content-Type": known ? "application/json" : "text/plain" });
  response.end(body);
}

function attach(server) {
  server.on("request", answer);
  const echo = new WebSocketServer({
    server,
    maxPayload: MAX_MESSAGE_BYTES,
    // By default ws leaves messages under 1 KiB uncompressed; here all are compressed.
    perMessageDeflate: options.compression ? { threshold: 0 } : false,
  });
  echo.on("connection", (socket) => {
    stats.connections += 1;
    stats.extensions[socket.extensions] = (stats.extensions[socket.extensions] ?? 0) + 1;
    socket.on("message", (data, isBinary) => {
      stats.messages_in += 1;
      stats.bytes_in += data.length;
      socket.send(data, { binary: isBinary });
    });
    socket.on("error", (error) => console.error(`connection: ${error.message}`));
  });
}

run(attach, "/echo");
