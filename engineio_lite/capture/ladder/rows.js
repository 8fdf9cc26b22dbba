// The ladder itself. Only rows in view exist as elements: ten thousand would take seconds to lay out.

const ROW_HEIGHT = 34;
const BEYOND = 12;
const MAX_BRIEF = 400;
const FAR = 40;
const MAX_PRINTED = 3000;

const scroller = find("scroller");
const canvas = find("canvas");
const drawn = new Map();
let decorations = [];
let isPrinting = false;

function draw() {
  const top = scroller.scrollTop;
  const height = scroller.clientHeight;
  const first = isPrinting ? 0 : Math.max(0, Math.floor(top / ROW_HEIGHT) - BEYOND);
  const last = isPrinting ? Math.min(view.rows.length, MAX_PRINTED) : Math.min(view.rows.length, Math.ceil((top + height) / ROW_HEIGHT) + BEYOND);
  for (const [index, element] of drawn) {
    if (index < first || index >= last) {
      element.remove();
      drawn.delete(index);
    }
  }
  for (let index = first; index < last; index += 1) {
    if (!drawn.has(index)) {
      const element = rowElement(view.rows[index], index);
      drawn.set(index, element);
      canvas.append(element);
    }
  }
  decorate(first, last);
  const inView = view.rows[Math.min(view.rows.length - 1, Math.floor(top / ROW_HEIGHT))];
  showCarrier(inView === undefined ? "" : inView.c || "");
}

function redraw() {
  for (const element of drawn.values()) element.remove();
  drawn.clear();
  canvas.style.height = `${view.rows.length * ROW_HEIGHT}px`;
  find("nothing").hidden = view.rows.length > 0;
  draw();
}

// --- one row

function rowElement(row, index) {
  const words = wordsOf(row);
  const kind = kindOf(row);
  const element = make("div", `row ${kind} ${row.d || "here"}`);
  // Not the fragment that links to it, or the browser would scroll there by itself, and differently.
  element.id = `row-${row.n}`;
  element.style.top = `${index * ROW_HEIGHT}px`;
  element.setAttribute("role", "option");
  element.setAttribute("aria-posinset", String(index + 1));
  element.setAttribute("aria-setsize", String(view.rows.length));
  element.setAttribute("aria-label", describe(row));
  element.dataset.index = String(index);
  if (isHeartbeat(row)) element.classList.add("heartbeat");
  if (index % 2) element.classList.add("odd");
  const stage = make("span", `stage ${row.c || "none"}`, laneElement(row, words));
  element.append(
    make("span", "number", String(row.n)),
    make("span", "time", row.t === undefined ? "?" : seconds(row.t)),
    deltaElement(row, view.rows[index - 1]),
    make("span", `session s${((row.s - 1) % 6) + 1}`, row.s ? `s${row.s}` : ""),
    stage,
  );
  markRow(element, row, index);
  return element;
}

function deltaElement(row, before) {
  const element = make("span", "delta");
  if (before !== undefined && before.t !== undefined && row.t !== undefined) {
    const passed = row.t - before.t;
    element.textContent = passed === 0 ? "" : `+${duration(passed)}`;
    if (passed >= 1) element.classList.add("long");
  }
  return element;
}

function laneElement(row, words) {
  const label = make("span", "label");
  if (words.tag) label.append(make("span", "tag", ...marked(words.tag)));
  if (words.namespace) label.append(make("span", "namespace", ...marked(words.namespace)));
  if (words.name) label.append(make("span", "name", ...marked(words.name)));
  if (words.body) label.append(make("span", "body", ...marked(brief(row, words.body))));
  const chips = make("span", "chips");
  if (row.f !== undefined && row.k === "packet") chips.append(make("span", "chip", `▣ ${row.f.map((attachment) => bytes(attachment[0])).join(" + ")}`));
  if (row.a !== undefined) chips.append(make("span", "chip latency", `↩ #${row.a}${row.l === undefined ? "" : ` ${duration(row.l)}`}`));
  if (row.id !== undefined && row.p === "EVENT" && row.b === undefined) chips.append(make("span", "chip unanswered", "no answer"));
  if (AROUND.has(row.k)) return make("span", "lane", make("span", "middle", label));
  return make("span", "lane", label, chips, make("span", "arrow"));
}

// The beginning of a payload, or what stands around the text that was searched for: more than fits is not worth laying out.
function brief(row, text) {
  const at = view.query === "" ? -1 : text.toLowerCase().indexOf(view.query.toLowerCase());
  if (at > FAR) return `…${text.slice(at - FAR / 2, at + MAX_BRIEF)}`;
  const start = text.slice(0, MAX_BRIEF);
  if (row.f === undefined || row.k !== "packet") return start;
  return start.replace(/"(?:[^"\\]|\\.)*"|@(\d+)/g, (token, number) => (number === undefined ? token : `‹${bytes(row.f[Number(number)][0])}›`));
}

function markRow(element, row, index) {
  const partner = view.selected === null ? undefined : partnerOf(view.selected);
  const isSelected = row === view.selected;
  element.classList.toggle("selected", isSelected);
  element.classList.toggle("partner", row === partner);
  element.classList.toggle("found", view.query !== "" && textOf(row).includes(view.query.toLowerCase()));
  element.setAttribute("aria-selected", String(isSelected));
  if (isSelected) scroller.setAttribute("aria-activedescendant", element.id);
}

function markRows() {
  if (view.selected === null) scroller.removeAttribute("aria-activedescendant");
  for (const [index, element] of drawn) markRow(element, view.rows[index], index);
  draw();
}

// --- what lies across rows: the band that says how the session travels, and the bracket of a pair

const BAND_ROOM = { polling: 66, both: 66, websocket: 90 };
const BAND_NAMES = { polling: "polling", both: "upgrade", websocket: "websocket" };

function bandOf(row) {
  return row === undefined ? "" : `${row.s} ${row.c || ""}`;
}

function decorate(first, last) {
  for (const element of decorations) element.remove();
  decorations = [...bandElements(first, last)];
  const bracket = bracketElement();
  if (bracket !== null) decorations.push(bracket);
  canvas.append(...decorations);
}

function* bandElements(first, last) {
  let start = first;
  while (start > 0 && first - start < 2000 && bandOf(view.rows[start - 1]) === bandOf(view.rows[first])) start -= 1;
  for (let index = start; index < last; ) {
    let end = index + 1;
    while (end < view.rows.length && end - index < 4000 && bandOf(view.rows[end]) === bandOf(view.rows[index])) end += 1;
    const band = view.rows[index].c;
    if (band) {
      const element = make("div", `band ${band}`, make("span", "", BAND_NAMES[band]));
      element.setAttribute("aria-hidden", "true");
      element.style.top = `${index * ROW_HEIGHT}px`;
      element.style.height = `${(end - index) * ROW_HEIGHT}px`;
      if ((end - index) * ROW_HEIGHT < BAND_ROOM[band]) element.classList.add("short");
      yield element;
    }
    index = end;
  }
}

function bracketElement() {
  const partner = view.selected === null ? undefined : partnerOf(view.selected);
  if (partner === undefined) return null;
  const places = [indexOf(view.selected), indexOf(partner)].sort((a, b) => a - b);
  if (places[0] < 0) return null;
  const question = view.rows[places[0]];
  const label = question.l === undefined ? "" : duration(question.l);
  // The question arrives where the bracket begins and the answer leaves where it ends: at the side of whoever was asked.
  const element = make("div", `bracket ${question.d === "up" ? "at-server" : "at-client"}`, make("span", "", label));
  element.setAttribute("aria-hidden", "true");
  element.style.top = `${places[0] * ROW_HEIGHT + 24}px`;
  element.style.height = `${(places[1] - places[0]) * ROW_HEIGHT + 2}px`;
  return element;
}

function showCarrier(band) {
  const words = { polling: "polling", both: "polling and WebSocket", websocket: "WebSocket" };
  find("carrier").className = `carrier ${band}`;
  find("carrier").textContent = words[band] || "";
}

// --- moving about

function reveal(index) {
  const top = index * ROW_HEIGHT;
  const margin = 2 * ROW_HEIGHT;
  if (top < scroller.scrollTop + margin) scroller.scrollTop = top - margin;
  else if (top + ROW_HEIGHT > scroller.scrollTop + scroller.clientHeight - margin) scroller.scrollTop = top + ROW_HEIGHT + margin - scroller.clientHeight;
}

function centre(index) {
  const top = index * ROW_HEIGHT;
  const isInView = top >= scroller.scrollTop && top + ROW_HEIGHT <= scroller.scrollTop + scroller.clientHeight;
  if (!isInView) scroller.scrollTop = top - scroller.clientHeight / 2;
}
