// socket.io, WebSocket transport only: every event is emitted back to its sender with the same data; an
// acknowledgement has the same data too.
"use strict";

const { Server } = require("socket.io");
const { MAX_MESSAGE_BYTES, options, run } = require("./program.js");

function attach(server) {
  const io = new Server(server, {
    transports: ["websocket"],
    serveClient: false,
    maxHttpBufferSize: MAX_MESSAGE_BYTES,
    perMessageDeflate: options.compression ? { threshold: 0 } : false,
  });
  io.on("connection", (socket) => {
    socket.onAny((event, ...data) => {
      const acknowledge = typeof data.at(-1) === "function" ? data.pop() : undefined;
      socket.emit(event, ...data);
      acknowledge?.(...data);
    });
  });
}

run(attach, "/socket.io/?EIO=4&transport=websocket");
