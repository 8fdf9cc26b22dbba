/*
 * A Node server, socket.io itself, that speaks the dialect of the Labs playground: what `perplexity_labs.loopback` does on python-socketio.
 *
 *   node labs.cjs '{"pieces": ["Why", " not?"], "delayFirst": 700, "pingInterval": 200, "pingTimeout": 150}'
 *
 * One line of JSON on standard output, {"port": N}, says that it listens on loopback; it leaves when standard input ends. Times are milliseconds,
 * counts are replies sent before something happens (absent: it never does). Options that are none of ours go to the server.
 *
 *   pieces, citations, delayFirst, pace    the answer, and how fast it is said
 *   rewriteAt, rewritten                   at this piece everything said before is replaced by that text
 *   failAfter, fail                        the answer fails with that text
 *   dropAfter                              every TCP connection is reset, and no new one is let in
 *   disconnectAfter, closeAfter            the namespace is left (41), the engine is closed (1)
 *   refuse                                 the CONNECT is refused with that text (44)
 */
"use strict";

const http = require("node:http");
const { Server } = require("socket.io");

const {
  pieces = ["Because", " it", " can", "."],
  citations = ["https://a.example"],
  delayFirst = 0,
  pace = 10,
  rewriteAt = null,
  rewritten = "",
  failAfter = null,
  fail = null,
  dropAfter = null,
  disconnectAfter = null,
  closeAfter = null,
  refuse = null,
  ...serverOptions
} = JSON.parse(process.argv[2] ?? "{}");

const httpServer = http.createServer();
const sockets = new Set();
httpServer.on("connection", (socket) => {
  sockets.add(socket);
  socket.on("close", () => sockets.delete(socket));
});

function drop() {
  httpServer.close();
  for (const socket of sockets) socket.resetAndDestroy();
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// What ends the answer before its end, if anything does after so many replies.
function ending(socket, count) {
  if (count === failAfter) return () => socket.emit("error_query_progress", { status: "failed", text: fail, final: true });
  if (count === dropAfter) return drop;
  if (count === disconnectAfter) return () => socket.disconnect();
  if (count === closeAfter) return () => socket.conn.close();
  return null;
}

async function answer(socket, { model }) {
  const name = `${model}_query_progress`;
  let output = "";
  await wait(delayFirst);
  for (const [count, piece] of pieces.entries()) {
    const end = ending(socket, count);
    if (end !== null) return end();
    output = (count === rewriteAt ? rewritten : output) + piece;
    socket.emit(name, { output, final: false, citations: [], status: "pending" });
    await wait(pace);
  }
  socket.emit(name, { output, final: true, citations, status: "completed" });
}

const io = new Server(httpServer, serverOptions);
io.use((socket, next) => next(refuse === null ? undefined : new Error(refuse)));
io.on("connection", (socket) => socket.on("perplexity_labs", (question) => answer(socket, question)));

process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
process.on("SIGTERM", () => process.exit(0));
httpServer.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: httpServer.address().port })));
