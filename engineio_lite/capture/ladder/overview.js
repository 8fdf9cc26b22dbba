// All of the capture in one narrow picture beside the ladder: bands, packets, errors, what a search found, and which part is in view.
//
// The packets are painted once, a line of pixels at a time however many rows fall on it, and kept; what moves is painted over them.

const overview = find("overview");
const picture = document.createElement("canvas");
const LINE = 4;

// Of the rows on one line of pixels the one is seen that matters most.
const WEIGHTS = new Map(["engine", "upgrade", "connect", "event", "ack", "message", "gap", "error"].map((kind, weight) => [kind, weight + 1]));

// A colour of the style sheet as a canvas takes it: a property of its own has not yet been told whether it is light or dark.
function colour(name) {
  overview.style.color = `var(--${name})`;
  return getComputedStyle(overview).color;
}

function lineHeight() {
  return Math.min(LINE, overview.clientHeight / Math.max(1, view.rows.length));
}

// How many device pixels, and a brush that counts in CSS pixels.
function prepared(target) {
  const scale = window.devicePixelRatio || 1;
  target.width = Math.round(overview.clientWidth * scale);
  target.height = Math.round(overview.clientHeight * scale);
  const brush = target.getContext("2d");
  brush.scale(scale, scale);
  return brush;
}

function paintOverview() {
  if (overview.clientWidth === 0 || overview.clientHeight === 0) return;
  const brush = prepared(picture);
  const colours = new Map(["polling", "both", "websocket", ...WEIGHTS.keys()].map((name) => [name, colour(name === "message" ? "event" : name)]));
  const width = overview.clientWidth;
  const height = Math.max(1, lineHeight());
  for (const [place, line] of linesOf(height)) {
    const top = place * height;
    const thick = Math.max(1, height - 1);
    const paint = (name, left, size, thickness) => {
      brush.fillStyle = colours.get(name);
      brush.fillRect(left, top, size, thickness);
    };
    if (line.band) paint(line.band, 0, 4, height);
    if (line.up) paint(line.up, 9, width / 2 - 9, thick);
    if (line.down) paint(line.down, width / 2, width / 2 - 9, thick);
    if (line.wide) paint(line.wide, 6, width - 12, Math.max(2, thick));
  }
  drawOverview();
}

function linesOf(height) {
  const lines = new Map();
  const step = lineHeight();
  const put = (line, side, kind) => {
    if (line[side] === undefined || WEIGHTS.get(line[side]) < WEIGHTS.get(kind)) line[side] = kind;
  };
  view.rows.forEach((row, index) => {
    const place = Math.floor((index * step) / height);
    if (!lines.has(place)) lines.set(place, {});
    const line = lines.get(place);
    line.band = row.c || line.band;
    const kind = kindOf(row) === "open" ? "connect" : kindOf(row);
    if (kind === "error" || kind === "gap") put(line, "wide", kind);
    else if (row.d !== undefined && WEIGHTS.has(kind) && !isHeartbeat(row)) put(line, row.d, kind);
  });
  return lines;
}

function drawOverview() {
  const width = overview.clientWidth;
  if (width === 0 || picture.width === 0) return;
  const brush = prepared(overview);
  const step = lineHeight();
  brush.drawImage(picture, 0, 0, width, overview.clientHeight);
  brush.fillStyle = colour("match-mark");
  for (const index of view.found) brush.fillRect(width - 6, index * step, 6, Math.max(2, step));
  brush.fillStyle = colour("ink");
  const selected = indexOf(view.selected);
  if (selected >= 0) brush.fillRect(0, selected * step - 1, width, 3);
  brush.globalAlpha = 0.12;
  brush.fillRect(0, (scroller.scrollTop / ROW_HEIGHT) * step, width, Math.max(6, (scroller.clientHeight / ROW_HEIGHT) * step));
}

function goToOverview(event) {
  scroller.scrollTop = (event.offsetY / lineHeight()) * ROW_HEIGHT - scroller.clientHeight / 2;
}

overview.addEventListener("pointerdown", (event) => {
  overview.setPointerCapture(event.pointerId);
  goToOverview(event);
});
overview.addEventListener("pointermove", (event) => {
  if (event.buttons) goToOverview(event);
});
