// The small panel of one case: its milestones planned, actual and predicted, with how each is known.

import { $, el } from "/static/dom.js";
import { MILESTONES, PROVENANCE, SETTINGS, STATUS, act, band, hm, hmOn, signed } from "/static/words.js";

const WAIT_MS = 120;
let shown = null;
let timer = 0;

/** Open on hover, focus or click; close on leaving and with Escape. */
export function followCases() {
  const rows = $("rows");
  const over = (event) => event.target.closest?.(".case");
  rows.addEventListener("mouseover", (event) => over(event) && later(over(event)));
  rows.addEventListener("mouseout", (event) => over(event) && document.activeElement !== over(event) && close());
  rows.addEventListener("focusin", (event) => over(event) && later(over(event)));
  rows.addEventListener("focusout", close);
  rows.addEventListener("click", (event) => over(event) && later(over(event)));
  rows.parentElement.addEventListener("scroll", close);
  document.addEventListener("keydown", (event) => event.key === "Escape" && close());
}

/** Fill the open panel anew after a change. */
export function refresh() {
  if (shown?.isConnected) fill(shown);
  else close();
}

function later(node) {
  clearTimeout(timer);
  timer = setTimeout(() => fill(node), WAIT_MS);
}

function close() {
  clearTimeout(timer);
  shown?.classList.remove("shown");
  shown?.removeAttribute("aria-describedby");
  shown = null;
  $("panel").hidden = true;
}

async function fill(node) {
  if (shown !== node) close();
  shown = node;
  const answer = await fetch(`/cases/${encodeURIComponent(node.dataset.key)}`).catch(() => null);
  if (shown !== node) return;
  if (!answer?.ok) {
    close();
    return;
  }
  const item = await answer.json();
  if (shown !== node) return;
  node.classList.add("shown");
  node.setAttribute("aria-describedby", "panel");
  $("panel").replaceChildren(...content(item));
  $("panel").hidden = false;
  place(node);
}

function content(item) {
  const about = [item.room_name, SETTINGS[item.setting], STATUS[item.status], item.booked_min && `réservé ${Math.round(item.booked_min)} min`];
  const delay = item.delay_min === null || Math.abs(item.delay_min) < 1 ? "" : `Entrée ${signed(item.delay_min)} par rapport à la réservation`;
  const moved = item.planned_room && item.planned_room !== item.room ? "Autre salle que celle de la réservation" : "";
  const aside = item.set_aside.map((stamp) =>
    el("p", { className: "warn", title: stamp.source }, `Horodatage écarté : ${MILESTONES[stamp.milestone]} ${hm(stamp.at)}`));
  return [
    el("h2", {}, act(item)),
    el("p", {}, about.filter(Boolean).join(" · ")),
    delay && el("p", {}, delay),
    moved && el("p", {}, moved),
    table(item.stages, item.day),
    ...aside,
    item.resources.estimated && el("p", { className: "warn" }, "Rapprochée par patient, salle et heure : aucun lien ne le dit"),
    item.generated_at && el("p", {}, `Prédiction de ${hm(item.generated_at)}`),
  ].filter(Boolean);
}

function table(stages, day) {
  const head = ["étape", "réservé", "réel", "prédit", "8 fois sur 10"].map((word) => el("th", { scope: "col" }, word));
  const rows = stages.map((stage) => {
    const known = stage.actual && PROVENANCE[stage.actual.provenance];
    return el("tr", {},
      el("td", {}, MILESTONES[stage.milestone]),
      el("td", { className: "soft" }, hmOn(stage.planned, day)),
      el("td", { title: stage.actual?.source ?? "" }, stage.actual ? el("b", {}, hmOn(stage.actual.at, day)) : "", known ? el("small", {}, ` ${known}`) : ""),
      el("td", {}, hmOn(stage.predicted?.p50, day)),
      el("td", { className: "soft" }, band(stage.predicted)));
  });
  return el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

function place(node) {
  const panel = $("panel");
  const box = node.getBoundingClientRect();
  const [width, height] = [panel.offsetWidth, panel.offsetHeight];
  const below = box.bottom + 8 + height < innerHeight;
  const top = below ? box.bottom + 8 : box.top - 8 - height;
  panel.style.left = `${Math.max(8, Math.min(box.left, innerWidth - width - 8))}px`;
  panel.style.top = `${Math.max(8, Math.min(top, innerHeight - height - 8))}px`;
}
