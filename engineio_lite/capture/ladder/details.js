// The panel at the side: what is in the selected row, or, when none is, what there is to know of the whole capture.

const details = find("details");
const EVENTS_LISTED = 40;

function showDetails() {
  details.replaceChildren(...(view.selected === null ? summaryElements() : packetElements(view.selected)));
  details.setAttribute("aria-label", view.selected === null ? "Summary of the capture" : `Details of ${view.selected.n}`);
  details.scrollTop = 0;
}

function fact(name, ...values) {
  return make("div", "", make("dt", "", name), make("dd", "", ...values));
}

// --- one packet

function packetElements(row) {
  const words = wordsOf(row);
  const kind = kindOf(row);
  const name = row.k === "packet" ? row.p : row.k === "http" || row.k === "engine" ? row.p : words.tag || row.p;
  const close = button("×", () => select(null));
  close.className = "icon close";
  close.setAttribute("aria-label", "Close");
  const title = make("h2", kind, make("span", "number", `#${row.n}`), " ", make("span", "tag", name), " ", row.e && row.k === "packet" ? make("span", "name", row.e) : null);
  const elements = [make("div", "heading", title, close), factsElement(row)];
  if (row.x !== undefined) {
    const copy = button("Copy", () => copyText(copyOf(row), copy));
    elements.push(make("div", "heading", make("h3", "", row.k === "packet" ? "Payload" : "Content"), make("span", "buttons", copy)), prettyElement(row));
  } else if (row.k === "packet") {
    elements.push(make("p", "note", "No payload."));
  }
  (row.f || []).forEach((_, place) => elements.push(attachmentElement(row, place)));
  return elements;
}

function factsElement(row) {
  const facts = make("dl", "facts");
  if (row.w) facts.append(fact(row.k === "message" ? "Not decoded" : "What", row.w));
  const partner = partnerElement(row);
  if (partner !== null) facts.append(fact(row.a === undefined ? "Answered by" : "Answers", partner));
  else if (row.id !== undefined && row.p === "EVENT") facts.append(fact("Answer", "none in this capture"));
  if (row.ns !== undefined) facts.append(fact("Namespace", make("code", "", row.ns)));
  if (row.id !== undefined) facts.append(fact("Ack id", make("code", "", String(row.id))));
  if (row.d !== undefined) facts.append(fact("Direction", row.d === "up" ? "client → server" : "server → client"));
  if (row.tr !== undefined) facts.append(fact("Transport", make("span", `carrier ${row.tr}`, row.tr === "polling" ? "polling" : "WebSocket")));
  if (row.s) facts.append(fact("Session", String(row.s)));
  facts.append(fact("Time", timeWords(row)));
  return facts;
}

function timeWords(row) {
  if (row.t === undefined) return "not known";
  const began = Date.parse(DATA.at);
  return `${row.t} s${Number.isNaN(began) ? "" : ` · ${new Date(began + row.t * 1000).toISOString()}`}`;
}

function partnerElement(row) {
  const number = row.a === undefined ? row.b : row.a;
  if (number === undefined) return null;
  const after = row.l === undefined ? "" : ` after ${duration(row.l)}`;
  const partner = BY_NUMBER.get(number);
  if (partner === undefined) return make("span", "", `#${number}, which is not in this page${after}`);
  const link = make("a", "", `#${number} ${partner.p}${partner.e ? ` ${partner.e}` : ""}`);
  link.href = `#p${number}`;
  return make("span", "", link, after);
}

// --- the whole capture

function summaryElements() {
  const packets = ROWS.filter((row) => row.k === "packet");
  const facts = make("dl", "facts");
  const times = ROWS.map((row) => row.t).filter((time) => time !== undefined);
  if (DATA.at) facts.append(fact("Begun", DATA.at));
  if (times.length) facts.append(fact("Takes", duration(times.reduce((a, b) => Math.max(a, b)) - times.reduce((a, b) => Math.min(a, b)))));
  if (DATA.by) facts.append(fact("Written by", `${DATA.by}${DATA.source ? ` (${DATA.source})` : ""}`));
  facts.append(fact("Sessions", String(SESSIONS.length)), fact("Packets", `${counted(packets.length, "Socket.IO packet")}, ${counted(ROWS.length, "row")}`));
  const elements = [make("h2", "", "This capture"), facts];
  for (const remark of DATA.remarks) elements.push(make("p", "remark", remark));
  const trouble = ROWS.filter((row) => row.err);
  if (trouble.length) elements.push(make("h3", "", "Errors and gaps"), linksElement(trouble.slice(0, EVENTS_LISTED)));
  elements.push(...latencyElements(packets), ...eventElements(packets), make("p", "note", "Select a packet to see what is in it; press ? for the keys."));
  return elements;
}

function linksElement(rows) {
  const list = make("ul", "links");
  for (const row of rows) {
    const words = wordsOf(row);
    const link = make("a", kindOf(row), `#${row.n} ${[words.tag, words.namespace, words.name, words.body].filter(Boolean).join(" ").slice(0, 90)}`);
    link.href = `#p${row.n}`;
    list.append(make("li", "", link));
  }
  return list;
}

function latencyElements(packets) {
  const answers = packets.filter((row) => row.p === "ACK" && row.l !== undefined);
  if (answers.length === 0) return [];
  answers.sort((a, b) => a.l - b.l);
  const at = (part) => answers[Math.min(answers.length - 1, Math.floor(part * answers.length))];
  const facts = make("dl", "facts");
  facts.append(fact("Answers", String(answers.length)), fact("Median", duration(at(0.5).l)));
  const slowest = make("a", "", `#${at(1).n}`);
  slowest.href = `#p${at(1).n}`;
  facts.append(fact("Slowest", `${duration(at(1).l)}, `, slowest));
  return [make("h3", "", "Acknowledgements"), facts];
}

function eventElements(packets) {
  const events = new Map();
  for (const row of packets) {
    if (row.p !== "EVENT") continue;
    const name = row.e === undefined ? "event" : row.e;
    const counts = events.get(name) || { up: 0, down: 0 };
    counts[row.d] += 1;
    events.set(name, counts);
  }
  if (events.size === 0) return [];
  const table = make("table", "events", make("thead", "", make("tr", "", make("th", "", "Event"), make("th", "", "↑ up"), make("th", "", "↓ down"))));
  const body = make("tbody");
  const sorted = [...events].sort((a, b) => b[1].up + b[1].down - a[1].up - a[1].down);
  for (const [name, counts] of sorted.slice(0, EVENTS_LISTED)) {
    const look = button(name, () => lookFor(name));
    look.className = "link";
    body.append(make("tr", "", make("td", "", look), make("td", "", counts.up ? String(counts.up) : ""), make("td", "", counts.down ? String(counts.down) : "")));
  }
  table.append(body);
  const rest = sorted.length - EVENTS_LISTED;
  return [make("h3", "", "Events"), table, rest > 0 ? make("p", "note", `and ${counted(rest, "other name")}`) : make("span")];
}
