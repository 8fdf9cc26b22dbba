/*
 * A real Node server for the tests: socket.io, or plain engine.io with `engineOnly`, on a free loopback port.
 *
 *   node server.cjs '{"pingInterval": 300, "transports": ["polling"]}'
 *
 * One line of JSON on standard output, {"port": N}, says that it listens. It leaves when standard input ends, so that it never outlives the test that
 * started it, whatever happens to that test, and on SIGTERM. Options go to the server under their own names; times are milliseconds. Two are ours:
 * `engineOnly`, and `burst`, how many "number" events go to every new socket before anything else does.
 *
 * What it does with events is the same as in server.py; the two are described once, in __init__.py.
 */
"use strict";

const http = require("node:http");

const options = JSON.parse(process.argv[2] ?? "{}");
const { engineOnly = false, burst = 0, port = 0, ...serverOptions } = options;
const httpServer = http.createServer((request, response) => {
  response.writeHead(404, { "Content-Type": "text/plain" });
  response.end("no such page\n");
});

function serveEngine() {
  const { Server } = require("engine.io");
  const { path, ...rest } = serverOptions;
  const engine = new Server(rest);
  engine.attach(httpServer, { path: path ?? "/engine.io/" });
  engine.on("connection", (socket) => {
    for (let i = 0; i < burst; i++) socket.send(`number ${i}`);
    socket.on("message", (data) => {
      if (data === "close!") socket.close();
      else socket.send(data);
    });
  });
}

function flood(socket, n, pad, from = 0) {
  for (let i = from; i < n; i++) {
    if (pad > 0) socket.emit("number", i, "x".repeat(pad));
    else socket.emit("number", i);
  }
}

// The same numbers in small slices, with a turn of the event loop between them: what comes in is handled while they go out.
function stream(socket, n, pad, from = 0) {
  flood(socket, Math.min(n, from + 50), pad, from);
  if (from + 50 < n) setImmediate(stream, socket, n, pad, from + 50);
}

function serveSocket() {
  const { Server } = require("socket.io");
  const io = new Server(httpServer, serverOptions);

  io.on("connection", (socket) => {
    let received = 0;
    let inOrder = true;
    let last = null;

    flood(socket, burst, 0);
    socket.emit("welcome", { auth: socket.handshake.auth, transport: socket.conn.transport.name });

    socket.on("echo", (...args) => {
      const ack = typeof args[args.length - 1] === "function" ? args.pop() : null;
      socket.emit("echo", ...args);
      if (ack !== null) ack(...args);
    });
    socket.on("flood", (n, pad = 0) => flood(socket, n, pad));
    socket.on("stream", (n, pad = 0) => stream(socket, n, pad));
    socket.on("count", (i) => {
      inOrder = inOrder && i === (last === null ? 0 : last + 1);
      last = i;
      received += 1;
    });
    socket.on("report", (ack) => {
      ack({ received, inOrder, last });
      received = 0;
      inOrder = true;
      last = null;
    });
    socket.on("never", () => {});
    socket.on("transport", (ack) => ack(socket.conn.transport.name));
    socket.on("askme", (...args) => {
      socket.timeout(5000).emit("question", ...args, (error, answer) => socket.emit("answer", error ? null : answer));
    });
    socket.on("kick", () => socket.disconnect());
    socket.on("kickall", () => socket.disconnect(true));
    socket.on("drop", () => socket.conn.close());
  });

  io.of("/admin")
    .use((socket, next) => {
      setImmediate(() => {
        if (socket.handshake.auth.token === "letmein") return next();
        const error = new Error("not authorized");
        error.data = { code: 7 };
        next(error);
      });
    })
    .on("connection", (socket) => {
      socket.emit("welcome", { auth: socket.handshake.auth, transport: socket.conn.transport.name });
      socket.on("echo", (...args) => {
        const ack = typeof args[args.length - 1] === "function" ? args.pop() : null;
        socket.emit("echo", ...args);
        if (ack !== null) ack(...args);
      });
      socket.on("kick", () => socket.disconnect());
    });

  io.of("/slow").use(() => {});
}

if (engineOnly) serveEngine();
else serveSocket();

// A test's server has nothing to save: it leaves at once, in the middle of whatever it was doing.
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));

// A port that was this server's a moment ago may still be the kernel's, so a busy one is tried again for five seconds.
const patienceEnds = Date.now() + 5000;
httpServer.on("error", (error) => {
  if (error.code !== "EADDRINUSE" || Date.now() > patienceEnds) throw error;
  setTimeout(listen, 50);
});
httpServer.on("listening", () => {
  console.log(JSON.stringify({ port: httpServer.address().port }));
});

function listen() {
  httpServer.listen(port, "127.0.0.1");
}

listen();
