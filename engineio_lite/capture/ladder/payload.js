// Payloads as they are read: JSON text, indented and coloured token by token, never parsed; and bytes as a dump.

const MAX_PRETTY = 200000;
const MAX_DUMPED = 4096;
const WIDE_DUMP = 580;
const TOKEN = /"(?:[^"\\]|\\.)*"|[[\]{},:]|@\d+|‹[^›]*›|[^[\]{},:"@‹\s]+|./gsu;

// Indented JSON as pieces of text with what they are; `attachment` gives the words for one.
function* pretty(text) {
  let depth = 0;
  let before = "";
  const lineBreak = () => `\n${"  ".repeat(Math.min(depth, 60))}`;
  const tokens = [...text.matchAll(TOKEN)].map((found) => found[0]);
  for (let place = 0; place < tokens.length; place += 1) {
    const token = tokens[place];
    const after = tokens[place + 1];
    if (token === "{" || token === "[") {
      depth += 1;
      const isEmpty = after === "}" || after === "]";
      yield ["mark", isEmpty ? token : token + lineBreak()];
    } else if (token === "}" || token === "]") {
      depth -= 1;
      yield ["mark", before === "{" || before === "[" ? token : lineBreak() + token];
    } else if (token === ",") {
      yield ["mark", `,${lineBreak()}`];
    } else if (token === ":") {
      yield ["mark", ": "];
    } else if (token.startsWith('"')) {
      yield [after === ":" ? "key" : "text", token];
    } else if (/^@\d+$/.test(token)) {
      yield ["attachment", token.slice(1)];
    } else {
      yield [token === "true" || token === "false" || token === "null" ? "word" : "digits", token];
    }
    before = token;
  }
}

function prettyElement(row) {
  const shown = make("pre", "payload");
  shown.tabIndex = 0;
  const text = row.x.length > MAX_PRETTY ? row.x.slice(0, MAX_PRETTY) : row.x;
  for (const [kind, piece] of pretty(text)) {
    if (kind === "attachment") {
      const link = make("a", "attachment", `attachment ${Number(piece) + 1} · ${bytes(row.f[Number(piece)][0])}`);
      link.href = `#attachment-${piece}`;
      link.addEventListener("click", (event) => {
        event.preventDefault();
        find(`attachment-${piece}`).scrollIntoView({ block: "nearest" });
        find(`attachment-${piece}`).focus();
      });
      shown.append(link);
    } else {
      shown.append(kind === "mark" ? piece : make("span", kind, ...marked(piece)));
    }
  }
  if (text !== row.x) shown.append(make("em", "", `\n… ${(row.x.length - text.length).toLocaleString("en")} more characters; a copy has them`));
  return shown;
}

// The payload as JSON that any program reads, attachments as {"$bin": base64}.
function copyOf(row) {
  let text = "";
  for (const [kind, piece] of pretty(row.x)) text += kind === "attachment" ? `{"$bin": ${JSON.stringify(row.f[Number(piece)][1])}}` : piece;
  return text;
}

function decoded(base64) {
  return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
}

function dump(data) {
  const lines = [];
  const width = details.clientWidth < WIDE_DUMP ? 8 : 16;
  for (let start = 0; start < data.length; start += width) {
    const line = [...data.subarray(start, start + width)];
    const hex = line.map((byte) => byte.toString(16).padStart(2, "0"));
    const halves = [hex.slice(0, 8).join(" ").padEnd(23), hex.slice(8).join(" ").padEnd(23)];
    const text = line.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${start.toString(16).padStart(6, "0")}  ${halves.slice(0, width / 8).join("  ")}  ${text}`);
  }
  return lines.join("\n");
}

function attachmentElement(row, place) {
  const [size, base64] = row.f[place];
  const data = decoded(base64);
  const section = make("section", "dump");
  section.id = `attachment-${place}`;
  section.tabIndex = -1;
  const heading = make("h3", "", `Attachment ${place + 1} `, make("small", "", bytes(size)));
  const copy = button("Copy hex", () => copyText([...data].map((byte) => byte.toString(16).padStart(2, "0")).join(""), copy));
  const save = button("Download", () => download(data, `packet-${row.n}-attachment-${place + 1}.bin`));
  const shown = make("pre", "hex", dump(data.subarray(0, MAX_DUMPED)) || "no bytes");
  shown.tabIndex = 0;
  section.append(make("div", "heading", heading, make("span", "buttons", copy, save)), shown);
  if (data.length > MAX_DUMPED) {
    const more = button(`Show all ${bytes(data.length)}`, () => {
      shown.textContent = dump(data);
      more.remove();
    });
    section.append(more);
  }
  if (data.length < size) section.append(make("p", "note", `The page has the first ${bytes(data.length)}; the capture has all of it.`));
  return section;
}

function button(label, action) {
  const made = make("button", "", label);
  made.type = "button";
  made.addEventListener("click", action);
  return made;
}

function download(data, name) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([data], { type: "application/octet-stream" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function copyText(text, where) {
  const label = where.textContent;
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    // A page that was not fetched safely, or that the browser does not let near the clipboard: the old way still works.
    done = copyBySelection(text);
  }
  where.textContent = done ? "Copied" : "Not allowed";
  setTimeout(() => (where.textContent = label), 1500);
}

function copyBySelection(text) {
  const area = make("textarea", "hidden");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}
