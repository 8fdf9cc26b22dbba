// The JavaScript reference parsers' side of codec.py: reads the cases as JSON from standard input, writes millions of operations a second as JSON.
//
// Each operation is what the reference client does for one event: engine.io-parser and socket.io-parser, one after the other. Every case is run until
// the compiler has settled, then the fastest of some measurements counts, as on the other side.
"use strict";

const path = require("node:path");
const { createRequire } = require("node:module");

const modules = process.argv[2];
const [seconds, repeats] = process.argv.slice(3).map(Number);
const load = createRequire(path.resolve(modules, "codec.cjs"));
const { decodePacket, encodePacket } = load("engine.io-parser");
const { Decoder, Encoder } = load("socket.io-parser");

let sink = 0;

function rate(work, frameIsLarge) {
  const round = (count) => {
    const start = process.hrtime.bigint();
    for (let i = 0; i < count; i++) work();
    return Number(process.hrtime.bigint() - start) / 1e9;
  };
  // The optimising compiler decides within the first hundred thousand calls.
  round(frameIsLarge ? 2000 : 200000);
  let count = 1;
  while (round(count) < seconds) count *= 2;
  let best = Infinity;
  for (let i = 0; i < repeats; i++) best = Math.min(best, round(count));
  return count / best / 1e6;
}

function measure(frame) {
  const decoder = new Decoder();
  let packet;
  decoder.on("decoded", (decoded) => {
    packet = decoded;
    sink++;
  });
  const decode = rate(() => decoder.add(decodePacket(frame, "nodebuffer").data), frame.length > 5000);
  const encoder = new Encoder();
  const count = () => sink++;
  const encode = rate(() => {
    for (const data of encoder.encode(packet)) encodePacket({ type: "message", data }, true, count);
  }, frame.length > 5000);
  return { decode, encode };
}

let input = "";
process.stdin.on("data", (chunk) => (input += chunk));
process.stdin.on("end", () => {
  const results = {};
  for (const [name, frame] of Object.entries(JSON.parse(input))) results[name] = measure(frame);
  process.stdout.write(JSON.stringify(results));
});
