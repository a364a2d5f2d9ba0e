// The API, from /openapi.json alone.

import { $, el } from "/static/dom.js";

const answer = await fetch("/openapi.json");
const spec = await answer.json();

$("title").textContent = `${spec.info.title} ${spec.info.version} · API`;
$("about").textContent = spec.info.description;
$("operations").append(...tags().flatMap(([tag, operations]) => [el("h2", {}, tag), ...operations.map(operation)]));
$("schemas").append(...Object.entries(spec.components?.schemas ?? {}).map(schema));
$(location.hash.slice(1))?.setAttribute("open", "");

function tags() {
  const found = new Map();
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const [method, details] of Object.entries(methods)) {
      const tag = details.tags?.[0] ?? "other";
      found.set(tag, [...(found.get(tag) ?? []), { path, method, details }]);
    }
  }
  return [...found];
}

function operation({ path, method, details }) {
  const parameters = (details.parameters ?? []).map((one) =>
    el("tr", {}, el("td", {}, el("code", {}, one.name)), el("td", {}, one.in), el("td", {}, typeOf(one.schema)), el("td", {}, one.description ?? "")));
  const answers = Object.entries(details.responses).map(([status, one]) =>
    el("tr", {}, el("td", {}, status), el("td", {}, one.description), el("td", {}, ...Object.entries(one.content ?? {}).map(([type, content]) => el("div", {}, `${type} `, typeOf(content.schema))))));
  return el("details", {},
    el("summary", {}, el("code", {}, `${method.toUpperCase()} ${path}`), el("span", { className: "soft" }, details.description?.split("\n")[0] ?? "")),
    parameters.length ? table(["parameter", "in", "type", ""], parameters) : "",
    table(["status", "", "content"], answers));
}

function schema([name, details]) {
  const fields = Object.entries(details.properties ?? {}).map(([field, one]) =>
    el("tr", {}, el("td", {}, el("code", {}, field)), el("td", {}, typeOf(one)), el("td", {}, one.description ?? "")));
  return el("details", { id: name },
    el("summary", {}, el("code", {}, name), el("span", { className: "soft" }, details.description ?? "")),
    fields.length ? table(["field", "type", ""], fields) : el("p", {}, typeOf(details)));
}

function table(head, rows) {
  return el("table", {}, el("thead", {}, el("tr", {}, ...head.map((word) => el("th", { scope: "col" }, word)))), el("tbody", {}, ...rows));
}

function typeOf(one) {
  if (!one) return "";
  if (one.$ref) {
    const name = one.$ref.split("/").at(-1);
    const link = el("a", { href: `#${name}` }, name);
    link.addEventListener("click", () => $(name)?.setAttribute("open", ""));
    return link;
  }
  if (one.anyOf) return el("span", {}, ...one.anyOf.flatMap((part, index) => (index ? [" or ", typeOf(part)] : [typeOf(part)])));
  if (one.enum) return one.enum.join(" | ");
  if (one.type === "array") return el("span", {}, "list of ", typeOf(one.items));
  return one.format ?? one.type ?? "any";
}
