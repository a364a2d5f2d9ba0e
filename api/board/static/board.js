// The page of the day: follows the stream, redraws at each change, moves the now line with site time.

import { SiteClock } from "/static/clock.js";
import { $, el, keyed, say } from "/static/dom.js";
import { followCases, refresh } from "/static/panel.js";
import { LATE_MIN, axisOf, drawAxis, drawRooms, followKeys } from "/static/rooms.js";
import { act, ageWords, band, dayWords, hm, ms } from "/static/words.js";

const FRESH_S = 30;
const STALE_S = 120;
const SILENT_MS = 15000; // the server speaks every few seconds
const RETRY_MS = 3000;
const LISTED = 4;

const clock = new SiteClock();
let axis = null;
let day = null;
let feed = null;
let heardAt = performance.now();

function open() {
  const events = new EventSource("/stream");
  events.addEventListener("feed", (event) => {
    feed = JSON.parse(event.data);
    heardAt = performance.now();
    clock.set(feed.now);
    tick();
  });
  events.addEventListener("suite", (event) => {
    day = JSON.parse(event.data);
    heardAt = performance.now();
    draw();
  });
  events.addEventListener("error", () => {
    // A refusal or a proxy's error page closes for good; a lost connection is tried again by the browser itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(open, RETRY_MS);
    else heardAt = Math.min(heardAt, performance.now() - SILENT_MS + RETRY_MS);
  });
}

function draw() {
  const { suite } = day;
  say($("site"), suite.site);
  say($("day"), `bloc · ${dayWords(suite.day)}`);
  document.title = `${suite.site} · bloc opératoire`;
  drawFigures(suite.figures);
  $("board").hidden = suite.rooms.length === 0;
  axis = axisOf(day);
  drawAxis(axis);
  drawRooms(day, axis);
  drawCalls();
  drawQueue();
  drawPacu(suite.figures);
  refresh();
  tick();
}

function drawFigures(figures) {
  const items = [
    ["operated", figures.operated, `opérés sur ${figures.planned}`],
    ["rooms", figures.occupied_rooms, `salles sur ${figures.rooms} occupées`],
    ["pacu", figures.pacu_present, figures.pacu_places ? `en SSPI sur ${figures.pacu_places}` : "en SSPI"],
    ["late", figures.late_rooms, figures.late_rooms === 1 ? "salle finira tard" : "salles finiront tard"],
  ];
  keyed($("figures"), items, ([key]) => key, () => el("div", {}, el("dt"), el("dd")), (node, [key, number, words]) => {
    node.className = key === "late" && number > 0 ? "alarm" : "";
    say(node.firstChild, words);
    say(node.lastChild, String(number));
  });
}

const roomName = (id) => day.suite.rooms.find((room) => room.id === id)?.name ?? "sans salle";

function drawCalls() {
  const calls = day.cases.filter((item) => item.predicted_sent_for?.p50);
  drawList($("calls"), calls, (item) => item.predicted_sent_for.p50, "Plus aucun appel prévu", (item) =>
    item.predicted_in ? `entrée ${hm(item.predicted_in.p50)}${item.delay_min > LATE_MIN ? "" : ` (${band(item.predicted_in)})`}` : "");
}

function drawQueue() {
  const waiting = day.suite.queue.map((id) => day.cases.find((item) => item.case_id === id)).filter(Boolean);
  drawList($("queue"), waiting, (item) => item.predicted_in?.p50 ?? item.planned_in, "Personne", () => "");
}

/** The first few by time, each with its room and act, and how many more there are. */
function drawList(node, items, timeOf, none, more) {
  const sorted = [...items].sort((a, b) => (ms(timeOf(a)) || Infinity) - (ms(timeOf(b)) || Infinity));
  const beyond = sorted.length - LISTED;
  const rows = sorted.slice(0, LISTED);
  if (beyond > 0) rows.push(`et ${beyond} autre${beyond > 1 ? "s" : ""}`);
  if (!rows.length) rows.push(none);
  const create = (item) => (item.case_id ? el("li", {}, el("b"), el("em"), el("small")) : el("li", { className: "none" }));
  keyed(node, rows, (item) => item.case_id ?? "note", create, (child, item) => {
    if (!item.case_id) return say(child, item);
    const late = item.delay_min > LATE_MIN;
    const what = `${roomName(item.room)} · ${act(item)}`;
    child.className = late ? "late" : "";
    say(child.children[0], hm(timeOf(item)));
    say(child.children[1], what);
    say(child.children[2], [more(item), late ? `retard ${item.delay_min} min` : ""].filter(Boolean).join(", "));
    child.children[1].title = what;
  });
}

function drawPacu(figures) {
  const { pacu_present: present, pacu_places: places } = figures;
  say($("pacu-text"), places ? `${present} présents sur ${places} places` : `${present} présents, places non connues`);
  const spots = Array.from({ length: Math.max(present, places ?? 0) }, (_, index) =>
    index >= present ? "" : places && index >= places ? "beyond" : "taken");
  keyed($("pacu"), spots.map((kind, index) => ({ kind, index })), (spot) => String(spot.index), () => el("i"), (node, spot) => (node.className = spot.kind));
}

/** What moves by itself: the clock, the now line, the age of the data, the connection. */
function tick() {
  if (!feed) return;
  const silent_ms = performance.now() - heardAt;
  const lost = silent_ms > SILENT_MS;
  $("lost").hidden = !lost;
  document.body.classList.toggle("stale", lost);
  if (lost) say($("lost"), `Connexion perdue : l'affichage date de ${hm(day?.suite.now ?? feed.now)}. Nouvel essai en cours.`);
  if (!lost && clock.known) {
    say($("clock"), clock.text);
    drawNow();
  }
  drawAge(silent_ms / 1000, lost);
  drawEmpty();
}

function drawNow() {
  const share = axis?.at(clock.now) ?? -1;
  $("now").hidden = share < 0 || share > 1;
  $("rooms").style.setProperty("--now-at", share.toFixed(5));
  say($("now").firstChild, clock.text);
}

function drawAge(since_s, lost) {
  const age = feed.data_age_s === null ? null : feed.data_age_s + since_s;
  const tone = age === null || age > STALE_S ? "over" : lost || feed.feed.failing || age > FRESH_S ? "warn" : "ok";
  $("age").dataset.tone = tone;
  $("age").title = feed.feed.failing ?? feed.feed.server;
  say($("age").lastChild, `données : ${ageWords(age)}${feed.feed.failing ? ", lecture en échec" : ""}`);
}

function drawEmpty() {
  const empty = $("empty");
  empty.hidden = Boolean(day?.suite.rooms.length);
  if (empty.hidden) return;
  const { server, failing, quarantined } = feed.feed;
  const [title, text, list] = empty.children;
  say(title, day ? "Aucune salle pour l'instant" : failing ? "Le serveur FHIR ne se laisse pas lire" : "Première lecture du serveur FHIR…");
  say(text, day
    ? "Le tableau se remplit dès qu'un lieu (Location) est utilisé comme salle par un rendez-vous (Appointment), un passage (Encounter) ou un acte (Procedure) de chirurgie."
    : "Le tableau s'ouvre dès qu'une lecture a réussi.");
  const notes = [
    `Serveur lu : ${server}`,
    failing ? `Dernière lecture en échec : ${failing}` : feed.data_age_s === null ? "Pas encore de lecture réussie" : "La lecture réussit",
    quarantined ? `${quarantined} entrées illisibles mises à l'écart` : "",
    day ? "Si vos salles ont un autre nom ou un autre type, nommez-les : JUMEAU_SITE__ROOMS=id1,id2" : "",
  ].filter(Boolean);
  keyed(list, notes, (note) => note, () => el("li"), say);
}

followKeys();
followCases();
day = JSON.parse($("newest").textContent);
if (day) {
  feed = { now: day.suite.now, data_age_s: day.suite.data_age_s, feed: day.suite.feed };
  clock.set(feed.now);
  draw();
}
open();
setInterval(tick, 1000);
