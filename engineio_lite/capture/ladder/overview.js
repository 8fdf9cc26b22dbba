// All of the capture in one narrow picture beside the ladder: bands, packets, errors, what a search found, and which part is in view.

const overview = find("overview");

// A colour of the style sheet as a canvas takes it: a property of its own has not yet been told whether it is light or dark.
function colour(name) {
  overview.style.color = `var(--${name})`;
  return getComputedStyle(overview).color;
}

function drawOverview() {
  const width = overview.clientWidth;
  const height = overview.clientHeight;
  if (width === 0 || height === 0) return;
  const scale = window.devicePixelRatio || 1;
  overview.width = Math.round(width * scale);
  overview.height = Math.round(height * scale);
  const brush = overview.getContext("2d");
  brush.scale(scale, scale);
  const count = view.rows.length;
  const step = Math.min(4, height / Math.max(1, count));
  paintBands(brush, width, step);
  const kinds = ["engine", "event", "connect", "ack", "upgrade", "gap", "error"];
  const colours = new Map(kinds.map((kind) => [kind, colour(kind)]));
  for (const wanted of kinds) {
    brush.fillStyle = colours.get(wanted);
    view.rows.forEach((row, index) => {
      if (kindOf(row) !== wanted || AROUND.has(row.k) !== (wanted === "gap")) return;
      const isWide = wanted === "gap" || wanted === "error";
      brush.globalAlpha = isHeartbeat(row) ? 0.25 : 0.85;
      brush.fillRect(isWide ? 3 : row.d === "up" ? 8 : width / 2, index * step, isWide ? width - 6 : width / 2 - 8, Math.max(isWide ? 2 : 1, step - 1));
    });
  }
  paintMarks(brush, width, height, step);
}

function paintBands(brush, width, step) {
  const colours = { polling: colour("polling"), both: colour("both"), websocket: colour("websocket") };
  view.rows.forEach((row, index) => {
    if (!row.c) return;
    brush.globalAlpha = 0.9;
    brush.fillStyle = colours[row.c];
    brush.fillRect(0, index * step, 4, Math.max(1, step));
  });
}

function paintMarks(brush, width, height, step) {
  brush.globalAlpha = 1;
  brush.fillStyle = colour("match-mark");
  for (const index of view.found) brush.fillRect(width - 6, index * step, 6, Math.max(2, step));
  if (view.selected !== null) {
    const index = view.rows.indexOf(view.selected);
    brush.fillStyle = colour("ink");
    if (index >= 0) brush.fillRect(0, index * step - 1, width, 3);
  }
  const rows = scroller.clientHeight / ROW_HEIGHT;
  brush.globalAlpha = 0.12;
  brush.fillStyle = colour("ink");
  brush.fillRect(0, (scroller.scrollTop / ROW_HEIGHT) * step, width, Math.max(6, rows * step));
  brush.globalAlpha = 1;
}

function goToOverview(event) {
  const step = Math.min(4, overview.clientHeight / Math.max(1, view.rows.length));
  const index = event.offsetY / step;
  scroller.scrollTop = index * ROW_HEIGHT - scroller.clientHeight / 2;
}

overview.addEventListener("pointerdown", (event) => {
  overview.setPointerCapture(event.pointerId);
  goToOverview(event);
});
overview.addEventListener("pointermove", (event) => {
  if (event.buttons) goToOverview(event);
});
