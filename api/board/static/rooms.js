// Rooms × time.

import { $, el, keyed, say } from "/static/dom.js";
import { act, hm, ms, sentence } from "/static/words.js";

const HOUR = 3600000;
export const LATE_MIN = 30;
const DAY_FROM = 7; // hours of the day always shown
const DAY_TO = 19;

/** The stretch of time shown: whole hours around everything there is to draw. */
export function axisOf(day) {
  const midnight = ms(day.suite.as_of) - (Number(hm(day.suite.as_of).slice(0, 2)) * 60 + Number(hm(day.suite.as_of).slice(3))) * 60000;
  const times = [midnight + DAY_FROM * HOUR, midnight + DAY_TO * HOUR, ms(day.suite.as_of)];
  for (const item of day.cases) {
    const { from, to } = extent(item, ms(day.suite.as_of));
    times.push(from, to, ms(item.planned_in), ms(item.planned_out));
  }
  for (const room of day.suite.rooms) for (const block of room.blocks) times.push(ms(block.start), ms(block.end));
  const near = times.filter((at) => Math.abs(at - midnight) < 40 * HOUR);
  const start = midnight + Math.floor((Math.min(...near) - midnight) / HOUR) * HOUR;
  const end = midnight + Math.ceil((Math.max(...near) - midnight) / HOUR) * HOUR;
  return { start, end, hours: (end - start) / HOUR, at: (instant) => (instant - start) / (end - start), midnight };
}

/** From when to when a case is drawn, solid up to `solid`, with a tick at `tick`. */
function extent(item, now) {
  const out = item.predicted_out;
  const from = ms(item.actual_in ?? item.predicted_in?.p50 ?? item.planned_in);
  if (item.status === "done") {
    const to = ms(item.actual_out ?? item.planned_out);
    return { from, to, solid: to };
  }
  if (out?.p50) return { from, to: ms(out.p90 ?? out.p50), solid: Math.max(from, ms(out.p10 ?? out.p50)), tick: ms(out.p50) };
  const to = item.status === "in_progress" ? Math.max(now, from) : ms(item.planned_out ?? item.planned_in);
  return { from, to, solid: to };
}

function kindOf(item) {
  if (item.status === "done") return item.actual_in && item.actual_out ? "done" : "done unsure";
  if (item.status === "in_progress") return "run";
  if (!item.predicted_in) return "booked";
  return item.delay_min > LATE_MIN ? "late" : "next";
}

export function drawAxis(axis) {
  const step = axis.hours > 18 ? 2 : 1;
  const marks = [];
  for (let hour = 0; hour < axis.hours; hour += step) marks.push(axis.start + hour * HOUR);
  keyed($("axis"), marks, (at) => String(at), () => el("span"), (node, at) => {
    const hours = Math.round((at - axis.midnight) / HOUR);
    node.textContent = `${((hours % 24) + 24) % 24} h`;
    node.style.left = percent(axis.at(at));
  });
  $("rows").style.setProperty("--hours", axis.hours);
}

export function drawRooms(day, axis) {
  const cases = new Map(day.cases.map((item) => [item.case_id, item]));
  keyed($("rows"), day.suite.rooms, (room) => room.id, createRow, (row, room) => {
    const mine = room.cases.map((id) => cases.get(id)).filter(Boolean);
    const [name, track, ends] = row.children;
    say(name.firstChild, room.name);
    name.firstChild.title = `${room.name} · ${room.id}`;
    say(name.lastChild, stateWords(room, mine));
    drawBlocks(track.children[0], room, axis);
    drawFrames(track.children[1], mine, axis);
    drawCases(track.children[2], mine, axis, ms(day.suite.as_of));
    drawEnds(ends, room, mine);
  });
  rove();
}

function createRow() {
  return el("li", { className: "room" },
    el("div", { className: "name" }, el("h2"), el("p")),
    el("div", { className: "track" },
      el("div", { className: "blocks" }),
      el("div", { className: "frames", ariaHidden: "true" }),
      el("div", { className: "cases" })),
    el("div", { className: "ends" }));
}

function stateWords(room, mine) {
  const current = mine.find((item) => item.case_id === room.current_case);
  const next = mine.find((item) => item.status === "planned");
  if (room.state === "occupied") {
    const out = current?.predicted_out?.p50;
    return out ? `En cours, sortie ${hm(out)}` : `En cours depuis ${hm(current?.actual_in)}`;
  }
  if (room.state === "closed") return "Fermée";
  if (room.state === "turnover") return "Bionettoyage";
  if (next) return `Libre, suivant ${hm(next.predicted_in?.p50 ?? next.planned_in)}`;
  return mine.length ? "Programme terminé" : "Pas d'intervention";
}

function drawBlocks(node, room, axis) {
  keyed(node, room.blocks, (block) => block.start, () => el("div"), (child, block) => {
    child.className = block.assumed ? "block assumed" : "block";
    child.title = `Vacation ${hm(block.start)}–${hm(block.end)}${block.assumed ? " (supposée)" : ""}`;
    place(child, axis, ms(block.start), ms(block.end));
  });
}

function drawFrames(node, mine, axis) {
  const booked = mine.filter((item) => item.planned_in && item.planned_out);
  keyed(node, booked, (item) => item.case_id, () => el("div", { className: "frame" }), (child, item) =>
    place(child, axis, ms(item.planned_in), ms(item.planned_out)));
}

function drawCases(node, mine, axis, now) {
  const drawn = mine.filter((item) => Number.isFinite(extent(item, now).from));
  keyed(node, drawn, (item) => item.case_id, createCase, (child, item) => {
    const { from, to, solid, tick } = extent(item, now);
    const end = Math.max(to, from + 60000);
    const share = (instant) => percent((instant - from) / (end - from));
    const shown = child.classList.contains("shown") ? " shown" : "";
    // Where most of the label lies on the fading part, it takes the colour of the page's text.
    const thin = tick !== undefined && solid - from < (tick - from) / 2 ? " thin" : "";
    child.className = `case ${kindOf(item)}${thin}${shown}`;
    child.setAttribute("aria-label", sentence(item));
    place(child, axis, from, end);
    child.style.setProperty("--solid", share(solid));
    child.firstChild.style.width = share(tick ?? solid);
    say(child.firstChild.firstChild, act(item));
    child.lastChild.hidden = tick === undefined;
    if (tick !== undefined) child.lastChild.style.left = share(tick);
  });
}

function createCase() {
  return el("button", { type: "button", tabIndex: -1 }, el("span", {}, el("b")), el("i"));
}

function drawEnds(node, room, mine) {
  const ends = room.ends.length ? room.ends : [null];
  node.className = ends.length > 1 ? "ends two" : "ends";
  keyed(node, ends.slice(0, 3), (end) => end?.session_start ?? "none", () => el("div"), (child, end) => {
    const last = room.blocks.at(-1);
    child.className = "finish";
    if (end === null) {
      const over = mine.length > 0 && mine.every((item) => item.status === "done");
      child.replaceChildren(el("b", {}, over ? hm(room.last_out) : "–"), el("small", {}, over ? "terminée" : last ? `fin ${hm(last.end)}` : "pas ouverte"));
      return;
    }
    const chance = Math.round(end.overrun_probability * 100);
    const late = ms(end.p50) > ms(end.session_end) || chance >= 50;
    child.className = `finish${late ? " over" : chance >= 25 ? " tight" : ""}`;
    child.title = `Fin attendue ${hm(end.p50)} (${hm(end.p10)}–${hm(end.p90)}), fin de vacation ${hm(end.session_end)}, probabilité de dépassement ${chance} %`;
    const bar = el("i", { ariaHidden: "true" });
    bar.style.setProperty("--p", `${chance}%`);
    child.replaceChildren(el("b", {}, hm(end.p50)), el("small", {}, `fin ${hm(end.session_end)}`),
      el("div", { className: "chance" }, bar, el("span", { ariaLabel: `probabilité de dépassement ${chance} %` }, `${chance} %`)));
  });
}

function place(node, axis, from, to) {
  const [left, right] = [axis.at(from), axis.at(to)].map((share) => Math.min(1, Math.max(0, share)));
  node.style.left = percent(left);
  node.style.width = percent(right - left);
}

const percent = (share) => `${(share * 100).toFixed(3)}%`;

// One stop of the Tab key for the whole board; arrows move inside it.

const buttons = () => [...$("rows").querySelectorAll(".case")];

function rove() {
  const all = buttons();
  if (all.length && !all.some((node) => node.tabIndex === 0)) (all.find((node) => node.classList.contains("run")) ?? all[0]).tabIndex = 0;
}

export function followKeys() {
  $("rows").addEventListener("focusin", (event) => {
    if (!event.target.classList.contains("case")) return;
    buttons().forEach((node) => (node.tabIndex = node === event.target ? 0 : -1));
  });
  $("rows").addEventListener("keydown", (event) => {
    const target = goal(event.key, event.target);
    if (!target) return;
    event.preventDefault();
    target.focus();
  });
}

function goal(key, node) {
  if (!node.classList.contains("case")) return null;
  if (key === "ArrowRight") return node.nextElementSibling;
  if (key === "ArrowLeft") return node.previousElementSibling;
  if (key === "Home") return node.parentElement.firstElementChild;
  if (key === "End") return node.parentElement.lastElementChild;
  if (key !== "ArrowDown" && key !== "ArrowUp") return null;
  const step = key === "ArrowDown" ? "nextElementSibling" : "previousElementSibling";
  let row = node.closest(".room")[step];
  while (row && !row.querySelector(".case")) row = row[step];
  const left = (one) => Math.abs(one.getBoundingClientRect().left - node.getBoundingClientRect().left);
  return row ? [...row.querySelectorAll(".case")].sort((a, b) => left(a) - left(b))[0] : null;
}
