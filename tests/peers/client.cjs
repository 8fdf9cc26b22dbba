/*
 * A real socket.io-client for the tests: connects, follows a script, prints what it saw, leaves.
 *
 *   node client.cjs '{"url": "http://127.0.0.1:1234", "options": {"transports": ["polling"]}, "script": [["call", "echo", 1], ["until", "number", 3]]}'
 *
 * The url may name a namespace. Steps of the script, in order: ["emit", name, args...]; ["count", n] emits "count" 0 to n-1 in one burst;
 * ["call", name, args...] waits for the acknowledgement; ["until", name, n] waits until n events of that name have come since the start; ["upgraded"]
 * waits for the WebSocket. Every line of standard output is one JSON array: ["connect", transport], ["connect_error", message, data],
 * ["event", name, ...args], ["ack", ...args], ["upgrade", transport], ["disconnect", reason], and after the last step ["done"]. It gives up after
 * `timeout` milliseconds (10 000) with exit code 1.
 */
"use strict";

const { io } = require("socket.io-client");

const { url, options = {}, script = [], timeout = 10000 } = JSON.parse(process.argv[2]);
const say = (...line) => console.log(JSON.stringify(line));
const seen = new Map();
let changed = () => {};

const giveUp = setTimeout(() => {
  say("timeout");
  process.exit(1);
}, timeout);

const socket = io(url, { reconnection: false, forceNew: true, ...options });

async function until(condition) {
  while (!condition()) await new Promise((resolve) => (changed = resolve));
}

async function run() {
  for (const [verb, ...rest] of script) {
    if (verb === "emit") socket.emit(...rest);
    else if (verb === "count") for (let i = 0; i < rest[0]; i++) socket.emit("count", i);
    else if (verb === "call") say("ack", ...(await new Promise((resolve) => socket.emit(...rest, (...args) => resolve(args)))));
    else if (verb === "until") await until(() => (seen.get(rest[0]) ?? 0) >= rest[1]);
    else if (verb === "upgraded") await until(() => socket.io.engine.transport.name === "websocket");
    else throw new Error(`no such step: ${verb}`);
  }
  say("done");
  clearTimeout(giveUp);
  socket.disconnect();
}

socket.onAny((name, ...args) => {
  seen.set(name, (seen.get(name) ?? 0) + 1);
  say("event", name, ...args);
  changed();
});
socket.on("connect", () => {
  say("connect", socket.io.engine.transport.name);
  socket.io.engine.on("upgrade", (transport) => {
    say("upgrade", transport.name);
    changed();
  });
  run().catch((error) => {
    say("error", String(error));
    process.exit(1);
  });
});
socket.on("connect_error", (error) => {
  say("connect_error", error.message, error.data ?? null);
  clearTimeout(giveUp);
  socket.disconnect();
});
socket.on("disconnect", (reason) => {
  say("disconnect", reason);
  clearTimeout(giveUp);
  // Time for the farewell to go out, but no waiting for a poll that python-engineio leaves open until its next ping.
  setTimeout(() => process.exit(0), 200);
});
