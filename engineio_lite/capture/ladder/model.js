// The capture: its rows, what is shown of them, and how quantities are written.

const DATA = JSON.parse(document.getElementById("capture").textContent);
const ROWS = DATA.rows;
const BY_NUMBER = new Map(ROWS.map((row) => [row.n, row]));
const SESSIONS = [...new Set(ROWS.map((row) => row.s).filter((session) => session > 0))].sort((a, b) => a - b);

// What is looked at: the filters, the rows that pass them, the one that is selected, and what a search has found among them.
const view = {
  session: "",
  namespace: "",
  direction: "",
  pings: true,
  query: "",
  rows: ROWS,
  selected: null,
  found: [],
};

const find = (id) => document.getElementById(id);

function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// --- what a row is

const AROUND = new Set(["socket", "note", "gap", "end"]);
const HEARTBEAT = new Set(["ping", "pong"]);

function isHeartbeat(row) {
  return row.k === "engine" && HEARTBEAT.has(row.p) && row.x === undefined;
}

// The kind decides the colour.
function kindOf(row) {
  if (row.k === "gap") return "gap";
  if (row.err) return "error";
  if (row.k === "packet") {
    if (row.p === "EVENT") return "event";
    return row.p === "ACK" ? "ack" : "connect";
  }
  if (row.k === "engine") return row.p === "upgrade" ? "upgrade" : "engine";
  return row.k === "http" ? "engine" : row.k;
}

// What a row says, in the parts that look different: a tag for the type, the namespace, the name of the event, the rest.
function wordsOf(row) {
  const namespace = row.ns !== undefined && row.ns !== "/" ? row.ns : "";
  switch (row.k) {
    case "packet":
      if (row.p === "EVENT") return { tag: "", namespace, name: row.e === undefined ? "event" : row.e, body: argumentsOf(row.x) };
      return { tag: row.p, namespace: namespace || (row.p === "ACK" ? "" : "/"), name: row.e || "", body: row.x || "" };
    case "engine":
      return { tag: row.p, namespace: "", name: "", body: [row.x && unquoted(row.x), row.w].filter(Boolean).join(" · ") };
    case "open":
      return { tag: `session ${row.s}`, namespace: "", name: "", body: row.w || "" };
    case "message":
      return { tag: "message", namespace: "", name: "", body: [row.err && row.w, row.x].filter(Boolean).join(": ") };
    case "gap":
      return { tag: "gap", namespace: "", name: "", body: `${row.w}; packets may be missing here` };
    default:
      return { tag: row.k === "http" ? row.p : "", namespace: "", name: "", body: row.w || row.p };
  }
}

// An event's payload without its name and brackets.
function argumentsOf(text) {
  if (text === undefined || !text.startsWith("[")) return text || "";
  const name = /^\[("(?:[^"\\]|\\.)*"|[^,\]]*),?/.exec(text);
  return name === null ? text : text.slice(name[0].length, text.endsWith("]") ? -1 : undefined);
}

function unquoted(text) {
  return text.startsWith('"') ? text.slice(1, -1) : text;
}

function describe(row) {
  const words = wordsOf(row);
  const way = row.d === "up" ? "to the server" : row.d === "down" ? "from the server" : "";
  const parts = [`${row.n}`, row.t === undefined ? "" : `${seconds(row.t)} seconds`, SESSIONS.length > 1 && row.s ? `session ${row.s}` : ""];
  parts.push(way, row.tr, row.p === "EVENT" ? "event" : row.p, words.namespace, words.name, row.k === "packet" ? "" : words.body, pairWords(row));
  return parts.filter(Boolean).join(", ");
}

function pairWords(row) {
  const after = row.l === undefined ? "" : ` after ${duration(row.l)}`;
  if (row.a !== undefined) return `answers ${row.a}${after}`;
  return row.b === undefined ? "" : `answered by ${row.b}${after}`;
}

function partnerOf(row) {
  return BY_NUMBER.get(row.a === undefined ? row.b : row.a);
}

// --- quantities

function seconds(time) {
  return time.toFixed(3);
}

function duration(time) {
  const size = Math.abs(time);
  if (size >= 60) return `${(time / 60).toFixed(1)} min`;
  if (size >= 1) return `${time.toFixed(2)} s`;
  const milliseconds = time * 1000;
  return `${Number(milliseconds.toFixed(Math.abs(milliseconds) < 9.95 ? 1 : 0))} ms`;
}

function bytes(count) {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KiB` : `${(count / 1024 / 1024).toFixed(1)} MiB`;
}

function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

// --- filters and search

function passes(row) {
  if (view.session !== "" && String(row.s) !== view.session) return false;
  if (row.k === "gap") return true;
  if (view.namespace !== "" && row.ns !== view.namespace) return false;
  if (view.direction !== "" && row.d !== view.direction) return false;
  return view.pings || !isHeartbeat(row);
}

// The place of each row that is shown: asked for with every move, and a search through all of them would be felt.
let places = new Map(ROWS.map((row, index) => [row, index]));

function indexOf(row) {
  return places.has(row) ? places.get(row) : -1;
}

function filter() {
  view.rows = ROWS.filter(passes);
  places = new Map(view.rows.map((row, index) => [row, index]));
  search();
}

// Upper and lower case are alike; the text of a row is put together when it is first looked for.
function textOf(row) {
  if (row.text === undefined) row.text = [row.p, row.ns, row.e, row.x, row.w].filter(Boolean).join(" ").toLowerCase();
  return row.text;
}

// Text as pieces, those that were searched for marked.
function marked(text) {
  const wanted = view.query.toLowerCase();
  const lower = text.toLowerCase();
  // A few characters change their length with their case; then nothing can be pointed at.
  if (wanted === "" || lower.length !== text.length) return [text];
  const pieces = [];
  let start = 0;
  for (let at = lower.indexOf(wanted); at >= 0; at = lower.indexOf(wanted, start)) {
    pieces.push(text.slice(start, at), make("mark", "", text.slice(at, at + wanted.length)));
    start = at + wanted.length;
  }
  return [...pieces, text.slice(start)];
}

function search() {
  const query = view.query.toLowerCase();
  view.found = [];
  if (query === "") return;
  view.rows.forEach((row, index) => {
    if (textOf(row).includes(query)) view.found.push(index);
  });
}
