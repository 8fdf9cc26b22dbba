/*
 * A real socket.io-client for the tests: connects, follows a script, prints what it saw, leaves.
 *
 *   node client.cjs '{"url": "http://127.0.0.1:1234", "options": {"transports": ["polling"]}, "script": [["call", "echo", 1], ["until", "number", 3]]}'
 *
 * The url may name a namespace. Options are those of the library; of `parser` only "msgpack" is known. Steps of the script, in order:
 *
 *   ["emit", name, args...]
 *   ["count", n]                   emits "count" 0 to n-1 in one burst
 *   ["call", name, args...]        emits and waits for the acknowledgement
 *   ["until", name, n]             waits until n events of that name have come since the start
 *   ["connected", n]               waits until it has been connected n times (so does "disconnected")
 *   ["upgraded"]                   waits for the WebSocket
 *   ["answer", args...]            from now on every question of the server is answered with these, or without any with its own arguments
 *   ["cut"]                        closes the engine under the socket, which is no goodbye: the socket reconnects
 *
 * Every line of standard output is one JSON array: ["connect", transport] (with "recovered" at the end if the state was), ["connect_error", message,
 * data], ["event", name, ...args], ["ack", ...args], ["upgrade", transport], ["disconnect", reason], and after the last step ["done"]. Without the
 * option `reconnection` it leaves with the first failure or disconnection. It gives up after `timeout` milliseconds (10 000) with exit code 1.
 */
"use strict";

const { io } = require("socket.io-client");

const { url, options = {}, script = [], timeout = 10000 } = JSON.parse(process.argv[2]);
if (options.parser === "msgpack") options.parser = require("socket.io-msgpack-parser");
const say = (...line) => console.log(JSON.stringify(line));
const seen = new Map();
let connected = 0;
let disconnected = 0;
let running = false;
let leaving = false;
let answer = null;
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
    else if (verb === "connected") await until(() => connected >= rest[0]);
    else if (verb === "disconnected") await until(() => disconnected >= rest[0]);
    else if (verb === "upgraded") await until(() => socket.io.engine.transport.name === "websocket");
    else if (verb === "answer") answer = rest;
    else if (verb === "cut") socket.io.engine.close();
    else throw new Error(`no such step: ${verb}`);
  }
  say("done");
  leave();
}

function leave() {
  leaving = true;
  clearTimeout(giveUp);
  socket.disconnect();
}

socket.onAny((name, ...args) => {
  seen.set(name, (seen.get(name) ?? 0) + 1);
  say("event", name, ...args);
  const ack = args[args.length - 1];
  if (typeof ack === "function" && answer !== null) ack(...(answer.length > 0 ? answer : args.slice(0, -1)));
  changed();
});
socket.on("connect", () => {
  connected += 1;
  say("connect", socket.io.engine.transport.name, ...(socket.recovered ? ["recovered"] : []));
  socket.io.engine.on("upgrade", (transport) => {
    say("upgrade", transport.name);
    changed();
  });
  changed();
  if (running) return;
  running = true;
  run().catch((error) => {
    say("error", String(error));
    process.exit(1);
  });
});
socket.on("connect_error", (error) => {
  say("connect_error", error.message, error.data ?? null);
  // A refusal is final, a failure is not: the socket is active as long as it will try again.
  if (!socket.active || !options.reconnection) leave();
});
socket.on("disconnect", (reason) => {
  disconnected += 1;
  say("disconnect", reason);
  changed();
  if (socket.active && options.reconnection && !leaving) return;
  clearTimeout(giveUp);
  // Time for the farewell to go out, but no waiting for a poll that python-engineio leaves open until its next ping.
  setTimeout(() => process.exit(0), 200);
});
