// What the reader does: select, search, filter, press keys, follow links, print.

const main = document.querySelector("main");
const query = find("query");
const help = find("help");

// --- selecting

function select(row, { scroll = reveal, open = true } = {}) {
  view.selected = row;
  const index = row === null ? -1 : indexOf(row);
  main.classList.toggle("open", row !== null && (open || main.classList.contains("open")));
  history.replaceState(null, "", row === null ? location.pathname + location.search : `#p${row.n}`);
  showDetails();
  if (index >= 0) scroll(index);
  markRows();
  drawOverview();
  showCount();
}

function move(by) {
  const at = view.selected === null ? -1 : indexOf(view.selected);
  const start = at >= 0 ? at + by : by > 0 ? firstInView() : view.rows.length - 1;
  goTo(Math.max(0, Math.min(view.rows.length - 1, start)));
}

function firstInView() {
  return Math.ceil(scroller.scrollTop / ROW_HEIGHT);
}

function goTo(index) {
  if (view.rows[index] !== undefined) select(view.rows[index], { open: false });
}

// A link leads to its packet even where a filter hides it.
function follow(number) {
  const row = BY_NUMBER.get(number);
  if (row === undefined) return;
  if (indexOf(row) < 0) showEverything();
  select(row, { scroll: centre });
}

function followHash() {
  const found = /^#p(\d+)$/.exec(location.hash);
  if (found !== null) follow(Number(found[1]));
}

canvas.addEventListener("click", (event) => {
  const element = event.target.closest(".row");
  if (element === null || String(getSelection())) return;
  select(view.rows[Number(element.dataset.index)]);
  scroller.focus({ preventScroll: true });
});
window.addEventListener("hashchange", followHash);

// --- searching

function lookFor(text) {
  query.value = text;
  setQuery();
  nextFound(1);
}

function setQuery() {
  view.query = query.value;
  search();
  redraw();
  drawOverview();
  if (view.selected !== null) showDetails();
  showCount();
}

function nextFound(by) {
  if (view.found.length === 0) return;
  const at = view.selected === null ? firstInView() - 1 : indexOf(view.selected);
  const place = by > 0 ? view.found.findIndex((index) => index > at) : view.found.findLastIndex((index) => index < at);
  const wrapped = by > 0 ? 0 : view.found.length - 1;
  select(view.rows[view.found[place < 0 ? wrapped : place]], { scroll: centre, open: false });
}

function showCount() {
  const count = view.found.length;
  const place = view.selected === null ? -1 : view.found.indexOf(indexOf(view.selected));
  find("count").textContent = view.query === "" ? "" : count === 0 ? "no match" : place < 0 ? counted(count, "match").replace("matchs", "matches") : `${place + 1} of ${count}`;
  find("previous").disabled = find("next").disabled = count === 0;
}

query.addEventListener("input", setQuery);
query.addEventListener("keydown", (event) => {
  if (event.key === "Enter") nextFound(event.shiftKey ? -1 : 1);
  else if (event.key === "ArrowDown") scroller.focus();
  else if (event.key === "Escape") leaveSearch();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
find("previous").addEventListener("click", () => nextFound(-1));
find("next").addEventListener("click", () => nextFound(1));

function leaveSearch() {
  if (query.value !== "") {
    query.value = "";
    setQuery();
  }
  scroller.focus({ preventScroll: true });
}

// --- filtering

function setFilters() {
  view.session = find("session").value;
  view.namespace = find("namespace").value;
  view.direction = find("direction").value;
  view.pings = find("pings").checked;
  const anchor = view.selected || view.rows[firstInView()];
  const offset = anchor === undefined ? 0 : indexOf(anchor) * ROW_HEIGHT - scroller.scrollTop;
  filter();
  redraw();
  // What was looked at stays where it was, if it is still there.
  const index = indexOf(anchor);
  if (index >= 0) scroller.scrollTop = index * ROW_HEIGHT - offset;
  draw();
  paintOverview();
  showCount();
  showAbout();
}

function showEverything() {
  for (const id of ["session", "namespace", "direction"]) find(id).value = "";
  find("pings").checked = true;
  setFilters();
}

function fill(id, values, all, label) {
  const everything = make("option", "", all);
  everything.value = "";
  const options = values.map((value) => {
    const option = make("option", "", label(value));
    option.value = String(value);
    return option;
  });
  find(id).replaceChildren(everything, ...options);
  find(`${id}-choice`).hidden = values.length < 2;
}

for (const id of ["session", "namespace", "direction", "pings"]) find(id).addEventListener("change", setFilters);

// --- light and dark

function switchTheme() {
  const root = document.documentElement;
  const isDark = (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  root.dataset.theme = isDark ? "light" : "dark";
  paintOverview();
}

find("theme").addEventListener("click", switchTheme);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paintOverview);

// --- keys

const KEYS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  PageDown: () => move(Math.max(1, Math.floor(scroller.clientHeight / ROW_HEIGHT) - 2)),
  PageUp: () => move(-Math.max(1, Math.floor(scroller.clientHeight / ROW_HEIGHT) - 2)),
  g: () => goTo(0),
  Home: () => goTo(0),
  G: () => goTo(view.rows.length - 1),
  End: () => goTo(view.rows.length - 1),
  n: () => nextFound(1),
  N: () => nextFound(-1),
  p: () => view.selected !== null && partnerOf(view.selected) !== undefined && follow(partnerOf(view.selected).n),
  t: switchTheme,
  "/": () => query.select(),
  "?": () => help.showModal(),
  Enter: openDetails,
  Escape: stepBack,
};

function openDetails() {
  if (view.selected === null) return;
  if (main.classList.contains("open")) details.focus();
  main.classList.add("open");
}

function stepBack() {
  if (details.contains(document.activeElement)) scroller.focus({ preventScroll: true });
  else if (query.value !== "") leaveSearch();
  else if (view.selected !== null) select(null);
}

const TYPED_INTO = new Set(["INPUT", "SELECT", "TEXTAREA"]);
const SCROLLED = new Set(["ArrowDown", "ArrowUp", "PageDown", "PageUp", "Home", "End"]);

document.addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  if (TYPED_INTO.has(target.tagName) && (target.type !== "checkbox" || event.key === " ") && event.key !== "Escape") return;
  // A button and a link keep their Enter, the panel keeps the keys that scroll it.
  if (event.key === "Enter" && (target.tagName === "BUTTON" || target.tagName === "A")) return;
  if (SCROLLED.has(event.key) && details.contains(target)) return;
  const action = KEYS[event.key];
  if (action === undefined) return;
  event.preventDefault();
  action();
});
find("help-button").addEventListener("click", () => help.showModal());
find("help-close").addEventListener("click", () => help.close());

// --- beginning

function showAbout() {
  const shown = view.rows.length === ROWS.length ? counted(ROWS.length, "row") : `${view.rows.length.toLocaleString("en")} of ${counted(ROWS.length, "row")}`;
  const printed = isPrinting && view.rows.length > MAX_PRINTED ? `the first ${MAX_PRINTED.toLocaleString("en")} are printed` : "";
  find("about").textContent = [counted(SESSIONS.length, "session"), shown, printed, DATA.at].filter(Boolean).join(" · ");
}

let isWaiting = false;
scroller.addEventListener("scroll", () => {
  if (isWaiting) return;
  isWaiting = true;
  requestAnimationFrame(() => {
    isWaiting = false;
    draw();
    drawOverview();
  });
});
new ResizeObserver(() => {
  draw();
  paintOverview();
}).observe(scroller);
window.addEventListener("beforeprint", () => {
  isPrinting = true;
  draw();
  canvas.style.height = `${Math.min(view.rows.length, MAX_PRINTED) * ROW_HEIGHT}px`;
  showAbout();
});
window.addEventListener("afterprint", () => {
  isPrinting = false;
  redraw();
  showAbout();
});

find("title").textContent = DATA.title;
document.documentElement.classList.toggle("one-session", SESSIONS.length < 2);
fill("session", SESSIONS, "all sessions", (session) => `session ${session}`);
fill("namespace", [...new Set(ROWS.map((row) => row.ns).filter((namespace) => namespace !== undefined))].sort(), "all namespaces", (namespace) => namespace);
showAbout();
showCount();
showDetails();
redraw();
followHash();
document.documentElement.dataset.ready = "yes";
