/* Tells the story with Node's client: node story.cjs URL '["polling"]' prints what it saw as one line of JSON. */
"use strict";

const { createRequire } = require("node:module");
const path = require("node:path");
const { story } = require("./story.js");

const { io } = createRequire(path.join(__dirname, "../peers/client.cjs"))("socket.io-client");

const giveUp = setTimeout(() => process.exit(3), 20000);
story(io, process.argv[2], JSON.parse(process.argv[3])).then((seen) => {
  console.log(JSON.stringify(seen));
  clearTimeout(giveUp);
  setTimeout(() => process.exit(0), 100);
});
