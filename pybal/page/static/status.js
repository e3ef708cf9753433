// Keeps the page as it is on the director. The server renders all HTML; this puts pieces of it in
// their places, filters rows, and says how long ago things were. The page is whole without it.
"use strict";

const HIDDEN_GRACE_MS = 20000;  // a page that nobody sees asks for nothing
const LATE_MS = 40000;          // heartbeats come every 15 s
const SEARCH_DELAY_MS = 350;
const SEARCH_AGAIN_MS = 10000;
const RENEW_MS = 15000;

const body = document.body;
const live = document.getElementById("live");
const input = document.getElementById("q");
const found = document.getElementById("found");
const serversFound = document.getElementById("servers-found");
const title = document.title;

let state = body.dataset.state;
let clockAhead = Number(body.dataset.now) * 1000 - Date.now();
let source = null;
let heardAt = Date.now();
let waiting = [];

// -- moments ---------------------------------------------------------------------------------

function ago(ms) {
  const s = Math.round(ms / 1000), later = s < 0, past = Math.abs(s);
  const words = past < 100 ? past + " s" : past < 6000 ? Math.round(past / 60) + " min"
    : past < 172800 ? Math.round(past / 3600) + " h" : Math.round(past / 86400) + " d";
  return later ? "in " + words : words + " ago";
}

function showTimes(root) {
  const now = Date.now() + clockAhead;
  for (const time of root.querySelectorAll("time")) {
    if (!time.title) time.title = time.textContent;
    const text = ago(now - Date.parse(time.dateTime));
    if (time.textContent !== text) time.textContent = text;
  }
}

// -- what has changed ------------------------------------------------------------------------

function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;  // rendered and escaped by the server; no script in it would run
  return template.content.firstElementChild;
}

// The focus stays where it was, on the same link of the piece that takes the old one's place.
function replace(old, fresh) {
  const active = document.activeElement;
  const inside = active && old.contains(active);
  const index = inside ? [...old.querySelectorAll("a, button, summary")].indexOf(active) : -1;
  if (old.className !== fresh.className || old.querySelector(".state")?.textContent !==
      fresh.querySelector(".state")?.textContent) fresh.classList.add("new");
  old.replaceWith(fresh);
  if (inside) fresh.querySelectorAll("a, button, summary")[index]?.focus({ preventScroll: true });
}

function apply(changes) {
  const fresh = new Map(Object.entries(changes.pieces).map(([id, html]) => [id, fragment(html)]));
  for (const [id, piece] of fresh) {
    const old = document.getElementById(id);
    if (old) replace(old, piece);
  }
  const focused = document.activeElement;  // moving an element takes the focus from it
  for (const [id, order] of Object.entries(changes.order)) {
    const slot = document.getElementById(id);
    if (!slot) continue;
    const wanted = new Set(order);
    for (const child of [...slot.children]) if (!wanted.has(child.id)) child.remove();
    let at = slot.firstElementChild;
    for (const each of order) {
      const piece = (at && at.id === each) ? at : document.getElementById(each) || fresh.get(each);
      if (!piece) continue;
      if (piece === at) at = at.nextElementSibling;
      else slot.insertBefore(piece, at);
    }
  }
  if (focused !== document.activeElement && focused.isConnected) {
    focused.focus({ preventScroll: true });
  }
  showTimes(document);
  filter();
  showVerdict();
}

function isSelecting() {
  const selection = window.getSelection();
  return selection && !selection.isCollapsed && document.getElementById("main")
    .contains(selection.anchorNode);
}

// What somebody is about to copy is not taken from under the mouse.
function take(changes) {
  waiting.push(changes);
  if (isSelecting()) return;
  for (const each of waiting.splice(0)) apply(each);
}

function showVerdict() {
  const word = document.querySelector("#verdict .state")?.textContent || "";
  document.title = (/^ok$/i.test(word) ? "" : word + " ") + title;
}

// -- the stream ------------------------------------------------------------------------------

function say(text, how) {
  if (live.textContent !== text) live.textContent = text;
  live.className = how;
}

function open() {
  close();
  const url = new URL(body.dataset.stream, location.href);
  url.searchParams.set("state", state);
  source = new EventSource(url);
  source.addEventListener("time", (event) => {
    heard();
    const [now, build] = event.data.split(" ");
    clockAhead = Number(now) * 1000 - Date.now();
    if (build !== body.dataset.build && sessionStorage.getItem("build") !== build) {
      sessionStorage.setItem("build", build);  // once: who knows what lies between
      location.reload();  // PyBal has been upgraded
    }
  });
  source.onmessage = (event) => {
    heard();
    if (event.data) take(JSON.parse(event.data));
    if (event.lastEventId) state = event.lastEventId;
  };
  source.onerror = () => {
    say("not live: trying again", "late");
    // The browser tries again by itself, unless it was refused: there are too many viewers, or
    // something between does not let the stream through.
    if (source && source.readyState === EventSource.CLOSED) {
      close();
      renew();
      setTimeout(() => { if (!source && !document.hidden) open(); }, RENEW_MS);
    }
  };
}

// The whole page anew, in place.
async function renew() {
  try {
    const answer = await fetch(location.pathname);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const changes = { pieces: {}, order: {} };
    for (const slot of page.querySelectorAll("[data-slot]")) {
      changes.order[slot.id] = [...slot.children].map((piece) => piece.id);
      for (const piece of slot.children) changes.pieces[piece.id] = piece.outerHTML;
    }
    take(changes);
    state = page.body.dataset.state;
    say("renewed every " + RENEW_MS / 1000 + " s", "quiet");
  } catch { /* it is not live, and says so */ }
}

function close() {
  if (source) source.close();
  source = null;
}

function heard() {
  heardAt = Date.now();
  say("live", "on");
}

let hiding = null;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) hiding = setTimeout(close, HIDDEN_GRACE_MS);
  else if (!source) open();
});

// -- the filter ------------------------------------------------------------------------------

function filter() {
  const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = document.querySelectorAll("[data-find]");
  let shown = 0;
  for (const row of rows) {
    const text = row.dataset.find.toLowerCase();
    const matches = words.every((word) => text.includes(word));
    if (row.hidden === matches) row.hidden = !matches;
    shown += matches;
  }
  found.textContent = words.length ? shown + " of " + rows.length : "";
}

let searching = null, searchedAt = 0;
async function search() {
  if (!serversFound) return;
  const query = input.value.trim();
  searchedAt = Date.now();
  if (!query) { serversFound.hidden = true; serversFound.replaceChildren(); return; }
  try {
    const answer = await fetch("/status?" + new URLSearchParams({ q: query }));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const section = page.getElementById("servers-found");
    if (!answer.ok || !section || input.value.trim() !== query) return;
    serversFound.replaceChildren(...section.childNodes);
    serversFound.hidden = false;
  } catch { /* not live says so already */ }
}

input.addEventListener("input", () => {
  const url = new URL(location.href);
  if (input.value.trim()) url.searchParams.set("q", input.value.trim());
  else url.searchParams.delete("q");
  history.replaceState(null, "", url);
  filter();
  clearTimeout(searching);
  searching = setTimeout(search, SEARCH_DELAY_MS);
});
input.form.addEventListener("submit", (event) => { event.preventDefault(); search(); });

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== input && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    input.focus();
    input.select();
  } else if (event.key === "Escape" && document.activeElement === input && input.value) {
    input.value = "";
    input.dispatchEvent(new Event("input"));
  }
});

// -- begin -----------------------------------------------------------------------------------

setInterval(() => {
  showTimes(document);
  if (waiting.length && !isSelecting()) for (const each of waiting.splice(0)) apply(each);
  if (source && Date.now() - heardAt > LATE_MS) say("nothing heard " + ago(Date.now() - heardAt), "late");
  if (input.value.trim() && !document.hidden && Date.now() - searchedAt > SEARCH_AGAIN_MS) search();
}, 1000);
showTimes(document);
showVerdict();
filter();
say("connecting", "quiet");
open();
