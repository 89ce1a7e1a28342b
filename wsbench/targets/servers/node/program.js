// Common parts of the Node servers: options, TLS, workers, the line that states the URL.
//
//   node NAME.js [--port 0] [--workers N] [--cert FILE --key FILE] [--compression]
"use strict";

const cluster = require("node:cluster");
const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { parseArgs } = require("node:util");

const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

const { values: options } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    workers: { type: "string", default: "1" },
    cert: { type: "string" },
    key: { type: "string" },
    compression: { type: "boolean", default: false },
  },
});
const workers = Number(options.workers);

function printListening(port, path) {
  console.log(`listening on ${options.cert ? "wss" : "ws"}://127.0.0.1:${port}${path}`);
}

function serve(attach, path, whenListening) {
  const server = options.cert
    ? https.createServer({ cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key) })
    : http.createServer();
  attach(server);
  server.listen({ port: Number(options.port), host: "127.0.0.1", backlog: 4096 }, () => {
    whenListening(server.address().port);
  });
}

// Call attach(server) with an HTTP server; with several workers, once in each of as many processes.
function run(attach, path) {
  if (cluster.isWorker) {
    // on disconnect, the primary process has ended
    process.on("disconnect", () => process.exit(1));
    serve(attach, path, () => {});
  } else if (workers === 1) {
    serve(attach, path, (port) => printListening(port, path));
  } else {
    let listening = 0;
    cluster.on("listening", (_worker, address) => {
      listening += 1;
      if (listening === workers) printListening(address.port, path);
    });
    cluster.on("exit", () => process.exit(1));
    for (let index = 0; index < workers; index += 1) cluster.fork();
  }
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
}

module.exports = { MAX_MESSAGE_BYTES, options, run };
