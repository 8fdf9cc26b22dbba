/*
 * A real Node server for the tests: socket.io, or plain engine.io with `engineOnly`, on a loopback port.
 *
 *   node server.cjs '{"pingInterval": 300, "transports": ["polling"]}'
 *
 * One line of JSON on standard output, {"port": N}, says that it listens. It leaves when standard input ends, so that it never outlives the test that
 * started it, whatever happens to that test, and on SIGTERM. Options go to the server under their own names; times are milliseconds. Some are ours
 * (the first lines of the code); what it does with them and with events is the same as in server.py, and the two are described once, in __init__.py.
 */
"use strict";

const fs = require("node:fs");
const http = require("node:http");

const ACK = 3; // the packet type, of both parsers

const options = JSON.parse(process.argv[2] ?? "{}");
const { engineOnly = false, burst = 0, port = 0, parser = "default", log = null, ackEvery = 1, ...serverOptions } = options;
if (parser === "msgpack") serverOptions.parser = require("socket.io-msgpack-parser");
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

// What this process has seen, some of it by the `key` that a client put into its auth. A new process knows nothing.
const seen = { connections: 0, open: 0, most: 0, attempts: {}, maxOpen: {} };
const openNow = {};
const reasons = {};

function engineOpened(conn) {
  seen.connections += 1;
  seen.open += 1;
  seen.most = Math.max(seen.most, seen.open);
  conn.once("close", () => (seen.open -= 1));
}

function joined(key) {
  seen.attempts[key] = (seen.attempts[key] ?? 0) + 1;
  openNow[key] = (openNow[key] ?? 0) + 1;
  seen.maxOpen[key] = Math.max(seen.maxOpen[key] ?? 0, openNow[key]);
}

function left(key, reason) {
  openNow[key] -= 1;
  (reasons[key] ??= []).push(reason);
}

// Lines are written at once, so that what was acknowledged is in the file even if this process is killed in the next moment.
const logFile = log === null ? null : fs.openSync(log, "a");
const tries = new Map();
let muted = 0;

function recorded(i) {
  if (logFile !== null) fs.writeSync(logFile, `${JSON.stringify(i)}\n`);
  tries.set(i, (tries.get(i) ?? 0) + 1);
  if (muted > 0) {
    muted -= 1;
    return SILENT;
  }
  return tries.get(i) % ackEvery === 0 ? [i] : SILENT;
}

// What the client answered, or null after five seconds.
function ask(socket, ...args) {
  return new Promise((resolve) => {
    socket.timeout(5000).emit("question", ...args, (error, ...answer) => resolve(error ? [null] : answer));
  });
}

async function answered(socket, answers) {
  const args = (await Promise.all(answers)).flat();
  socket.emit("answer", ...args);
  return args;
}

function acknowledge(socket, id, args) {
  socket.packet({ type: ACK, id, data: [...args] });
}

const SILENT = Symbol("no acknowledgement");

// By event, from its arguments to those of the acknowledgement (none if nothing is returned), or to a promise of them.
function handlers(socket) {
  let counts = { received: 0, inOrder: true, last: null };
  return {
    echo: (args) => {
      socket.emit("echo", ...args);
      return args;
    },
    flood: ([n, pad = 0]) => flood(socket, n, pad),
    stream: ([n, pad = 0]) => stream(socket, n, pad),
    count: ([i]) => {
      const { received, inOrder, last } = counts;
      counts = { received: received + 1, inOrder: inOrder && i === (last === null ? 0 : last + 1), last: i };
    },
    report: () => {
      const report = counts;
      counts = { received: 0, inOrder: true, last: null };
      return [report];
    },
    never: () => SILENT,
    transport: () => [socket.conn.transport.name],

    everyone: ([name, ...args]) => void socket.nsp.emit(name, ...args),
    later: ([ms, name, ...args]) => void setTimeout(() => socket.emit(name, ...args), ms),
    volatile: ([name, ...args]) => void socket.volatile.emit(name, ...args),

    askme: (args) => answered(socket, [ask(socket, ...args)]),
    askbinary: () => answered(socket, [ask(socket, Buffer.of(1, 2, 3), { nested: [Buffer.of(255), { deep: Buffer.of() }], text: "grüße" })]),
    asktwo: () => answered(socket, [ask(socket, 1), ask(socket, 2)]),

    ackstwice: (args, ack) => {
      if (ack !== null) acknowledge(socket, ack.id, args);
      return args;
    },
    ackunknown: (args) => {
      acknowledge(socket, 9999, args);
      return args;
    },

    record: ([i]) => recorded(i),
    mute: ([n]) => void (muted = n),

    whoami: () => [{ sid: socket.id, recovered: socket.recovered, rooms: [...socket.rooms] }],
    join: ([room]) => void socket.join(room),
    auth: () => [socket.handshake.auth],
    query: () => [{ query: socket.handshake.query, headers: socket.handshake.headers }],
    reasons: ([key]) => [reasons[key] ?? []],
    totals: () => [seen],

    kick: () => {
      socket.disconnect();
      return SILENT;
    },
    kickall: () => {
      socket.disconnect(true);
      return SILENT;
    },
    drop: () => {
      socket.conn.close();
      return SILENT;
    },
  };
}

function converse(socket, burst = 0) {
  const { key } = socket.handshake.auth;
  if (key !== undefined) {
    joined(key);
    socket.once("disconnect", (reason) => left(key, reason));
  }
  if (!socket.recovered) {
    flood(socket, burst, 0);
    socket.emit("welcome", { auth: socket.handshake.auth, transport: socket.conn.transport.name });
  }
  for (const [name, handle] of Object.entries(handlers(socket))) {
    socket.on(name, (...args) => {
      const ack = typeof args[args.length - 1] === "function" ? args.pop() : null;
      const reply = (answer) => ack !== null && answer !== SILENT && ack(...(answer ?? []));
      const answer = handle(args, ack);
      if (answer instanceof Promise) answer.then(reply);
      else reply(answer);
    });
  }
}

function serveSocket() {
  const { Server, Socket } = require("socket.io");
  // The one thing that an event's handler is not told: the id of its acknowledgement.
  const { ack } = Socket.prototype;
  Socket.prototype.ack = function (id) {
    return Object.assign(ack.call(this, id), { id });
  };

  const io = new Server(httpServer, serverOptions);
  io.engine.on("connection", engineOpened);
  io.on("connection", (socket) => converse(socket, burst));
  io.of("/echo2").on("connection", (socket) => converse(socket));
  io.of("/admin")
    .use((socket, next) => {
      setImmediate(() => {
        if (socket.handshake.auth.token === "letmein") return next();
        const error = new Error("not authorized");
        error.data = { code: 7 };
        next(error);
      });
    })
    .on("connection", (socket) => converse(socket));
  io.of("/refuse-string").use((socket) => socket._error("no entry"));
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
