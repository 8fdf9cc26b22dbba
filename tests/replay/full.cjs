/*
 * The session "full" of the recordings in tests/captures, by Node's client: node full.cjs URL '["polling", "websocket"]'
 *
 * It says what their INDEX.md describes, one step after the other, and ends with exit code 0 once the server has thrown it out. Whatever is not
 * answered as it was recorded makes it fail.
 */
"use strict";

const assert = require("assert");
const { io } = require("../peers/node_modules/socket.io-client");

const [url, transports] = [process.argv[2], JSON.parse(process.argv[3])];
const options = { transports, reconnection: false };
const event = (emitter, name) => new Promise((resolve) => emitter.once(name, (...values) => resolve(values)));

async function main() {
  const main = io(url, { ...options, forceNew: true, auth: { jwt: "anonymous-ask-user" } });
  const over = [event(main, "disconnect")];
  await event(main, "connect");
  const words = 'Grüße, мир, 日本語 – 🦄 "quote" \\ back \u001e end';
  const [echoed] = await main.emitWithAck("echo", words, { n: 1.5, deep: { a: [true, null, -0.25] } }).then((value) => [].concat(value));
  assert.equal(echoed, words);

  const admin = main.io.socket("/admin", { auth: { token: "test-admin-token" } });
  over.push(event(admin, "disconnect"));
  await Promise.all([event(admin, "connect"), event(admin, "motd")]);
  assert.equal((await admin.emitWithAck("whoami")).user, "admin");

  const progress = [];
  const final = new Promise((resolve) => main.on("r1-1776_query_progress", (part) => (progress.push(part), part.final && resolve())));
  const messages = [{ role: "user", content: "Wie groß ist Zürich? 🏙", priority: 0 }];
  main.emit("perplexity_labs", { version: "2.18", source: "default", model: "r1-1776", messages });
  await final;
  assert.equal(progress.length, 20);

  const back = event(main, "blob_back");
  const blob = Buffer.from(Array.from({ length: 48 }, (_, i) => (i * 8 + 4 * i * i) & 255));
  const answer = await main.emitWithAck("blob", blob, { name: "x.bin" });
  assert.deepEqual(Buffer.from(answer.back), Buffer.from(blob).reverse());
  assert.deepEqual((await back)[0].parts.map((part) => part.length), [5, 43]);

  main.on("question", (question, acknowledge) => acknowledge({ answer: 42, why: "because ✓" }));
  const done = event(main, "question_done");
  main.emit("ask_me");
  assert.equal((await done)[0].answer, 42);

  await event(main.io, "ping");
  main.emit("kick");
  await Promise.all(over);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
