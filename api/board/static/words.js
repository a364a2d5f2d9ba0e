// French words of the page, and how times are shown. Instants carry the site's offset: their text is local already.

export const MILESTONES = {
  patient_in_facility: "arrivée", patient_sent_for: "appel", patient_in_holding: "accueil bloc", room_ready: "salle prête",
  patient_in_room: "entrée en salle", anesthesia_start: "début d'induction", anesthesia_ready: "fin d'induction",
  incision: "incision", closure_start: "fermeture", procedure_finish: "fin d'intervention",
  patient_out_of_room: "sortie de salle", room_cleanup_finish: "remise en état", pacu_arrival: "entrée en SSPI",
  pacu_ready: "sortie de SSPI possible", pacu_discharge: "sortie de SSPI", unit_arrival: "arrivée dans l'unité",
  facility_discharge: "sortie",
};
export const SETTINGS = { ambulatory: "ambulatoire", inpatient: "hospitalisation", emergency: "urgence", unknown: "" };
export const STATUS = {
  planned: "à venir", in_progress: "en salle", done: "terminée", cancelled: "annulée", no_show: "patient absent",
  entered_in_error: "saisie par erreur", deleted: "supprimée",
};
export const PROVENANCE = { explicit: "", "derived from version": "déduit", estimated: "estimé" };

/** "11:24" of an instant's own text. */
export const hm = (instant) => (instant ? instant.slice(11, 16) : "");
/** The same, with the days after (or before) the given one: "02:34 +1 j". */
export function hmOn(instant, day) {
  const days = instant ? Math.round((Date.parse(instant.slice(0, 10)) - Date.parse(day)) / 86400000) : 0;
  return days ? `${hm(instant)} ${days > 0 ? "+" : "−"}${Math.abs(days)} j` : hm(instant);
}
export const ms = (instant) => Date.parse(instant);
export const act = (item) => (item.setting === "emergency" ? "Urgence · " : "") + (item.procedure || item.specialty || "Intervention");
export const band = (q) => (q?.p10 && q?.p90 ? `${hm(q.p10)}–${hm(q.p90)}` : "");
export const signed = (minutes) => `${minutes > 0 ? "+" : "−"}${Math.abs(minutes)} min`;

export function dayWords(day) {
  const format = new Intl.DateTimeFormat("fr-FR", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
  return format.format(new Date(`${day}T12:00:00Z`));
}

export function ageWords(seconds) {
  if (seconds === null) return "jamais lues";
  if (seconds < 90) return `il y a ${Math.round(seconds)} s`;
  return seconds < 5400 ? `il y a ${Math.round(seconds / 60)} min` : `il y a ${Math.round(seconds / 3600)} h`;
}

/** One case in a sentence, for a screen reader. */
export function sentence(item) {
  const parts = [act(item), SETTINGS[item.setting], STATUS[item.status]];
  if (item.planned_in) parts.push(`réservé ${hm(item.planned_in)}${item.planned_out ? `–${hm(item.planned_out)}` : ""}`);
  if (item.actual_in) parts.push(`entré à ${hm(item.actual_in)}`);
  if (item.actual_out) parts.push(`sorti à ${hm(item.actual_out)}`);
  if (item.predicted_in?.p50) parts.push(`entrée attendue ${hm(item.predicted_in.p50)}`);
  if (item.predicted_out?.p50) parts.push(`sortie attendue ${hm(item.predicted_out.p50)}, entre ${band(item.predicted_out).replace("–", " et ")}`);
  if (item.status === "planned" && item.delay_min > 30) parts.push(`${item.delay_min} min de retard`);
  return parts.filter(Boolean).join(", ");
}
