/*
 * One conversation with the test server, the same in a page and in Node: `story(io, url, transports)` resolves to what it saw, as JSON values.
 *
 * Everything is asked for one after the other, so what is seen is the same each time. Bytes are shown as "bytes: 00 01".
 */
"use strict";

function shown(value) {
  if (value instanceof ArrayBuffer) value = new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return "bytes:" + Array.from(value, (byte) => " " + byte.toString(16).padStart(2, "0")).join("");
  if (Array.isArray(value)) return value.map(shown);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, shown(item)]));
  }
  return value;
}

async function story(io, url, transports) {
  const seen = [];
  const see = (...what) => seen.push(shown(what));
  const options = { auth: { token: "letmein" }, reconnection: false, transports };
  const main = io(url, { ...options, forceNew: true });
  const admin = main.io.socket("/admin", { auth: { token: "letmein" } });
  admin.open();
  const next = (socket, name) => new Promise((resolve) => socket.once(name, (...args) => resolve(args)));
  const call = (socket, ...args) => new Promise((resolve) => socket.emit(...args, (...answer) => resolve(answer)));

  for (const socket of [main, admin]) socket.on("connect_error", (error) => see("connect_error", error.message));
  const welcomes = [next(main, "welcome"), next(admin, "welcome")];
  main.on("question", (...args) => {
    const answer = args.pop();
    see("question", ...args);
    answer("because", { of: "it" }, new Uint8Array([7]));
  });
  for (const welcome of await Promise.all(welcomes)) see("welcome", welcome[0].auth);

  see("ack", ...(await call(main, "echo", "grüße ✓", { list: [1, 2.5, null, true], text: 'a "quoted" \u001e one' })));
  see("ack", ...(await call(main, "echo", new Uint8Array([0, 1, 2]), { nested: [new Uint8Array([255])] })));
  see("ack", ...(await call(admin, "echo", "as admin")));

  const numbers = [];
  main.on("number", (number) => numbers.push(number));
  await call(main, "flood", 20);
  see("numbers", numbers);

  const answered = next(main, "answer");
  await call(main, "askme", "why", new Uint8Array([9]));
  see("answer", ...(await answered));

  const left = Promise.all([next(main, "disconnect"), next(admin, "disconnect")]);
  main.emit("kickall");
  await left;
  see("left");
  return seen;
}

if (typeof module !== "undefined") module.exports = { story };
