// An echo server with npm's ws: text as text, binary as binary. GET /stats answers with its counts.
//
//   node echo.js [--deflate] [--port N]
"use strict";

const http = require("node:http");
const { parseArgs } = require("node:util");
const { WebSocketServer } = require("ws");

const { values: options } = parseArgs({
  options: { deflate: { type: "boolean", default: false }, port: { type: "string", default: "0" } },
});
const stats = { connections: 0, messages_in: 0, bytes_in: 0, extensions: {} };

const server = http.createServer((request, response) => {
  const known = request.url === "/stats";
  const body = known ? JSON.stringify(stats) : "no such page\n";
  response.writeHead(known ? 200 : 404, { "Content-Type": known ? "application/json" : "text/plain" });
  response.end(body);
});

const echo = new WebSocketServer({
  server,
  // ws leaves messages under 1 KiB uncompressed unless told otherwise; here whatever may be compressed is.
  perMessageDeflate: options.deflate ? { threshold: 0 } : false,
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

server.listen(Number(options.port), "127.0.0.1", () => {
  console.log(`listening on ws://127.0.0.1:${server.address().port}/echo`);
});
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
