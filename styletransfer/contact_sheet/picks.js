// Picks: stars and rejects, kept in this browser for all pages of the sheet; texts to paste; marks to compare.
const pickKey = "styletransfer picks " + location.pathname.replace(/[^/]*$/, "") + document.querySelector("h1").textContent;
const pickGroup = document.querySelector(".picks");
const compareButton = document.querySelector("button.compare");
const MOST_SIDE_BY_SIDE = 4;
const inManifest = new Set(JSON.parse(document.body.dataset.ids)), earlier = new Set(JSON.parse(document.body.dataset.earlier));
let picks = {};  // id -> {pick: "star" or "reject", yaml}
let marked = [];  // ids, in the order in which they were marked

function readPicks() {
  try { picks = JSON.parse(localStorage.getItem(pickKey)) || {}; } catch {}
}

function keepPicks() {
  try { localStorage.setItem(pickKey, JSON.stringify(picks)); } catch {}
}

const pickOf = id => picks[id] ? picks[id].pick : "";
const pickedAs = pick => Object.keys(picks).filter(id => pickOf(id) === pick && (inManifest.has(id) || earlier.has(id)));

function setPick(id, pick) {
  if (pickOf(id) === pick) delete picks[id];
  else picks[id] = { pick, yaml: cardOf(id).dataset.yaml || "" };
  keepPicks();
  showPicks();
  tell(id + (pickOf(id) ? pick === "star" ? ": starred" : ": rejected" : ": no pick"));
}

function showPicks() {
  for (const card of cards) {
    const pick = pickOf(idOf(card));
    card.dataset.pick = pick;
    for (const button of card.querySelectorAll("[data-pick]")) {
      button.setAttribute("aria-pressed", String(button.dataset.pick === pick));
    }
    const mark = card.querySelector("[data-mark]");
    if (mark) mark.setAttribute("aria-pressed", String(marked.includes(idOf(card))));
  }
  for (const [name, pick] of [["starred", "star"], ["rejected", "reject"]]) {
    const button = pickGroup.querySelector("." + name), count = pickedAs(pick).length;
    button.querySelector("b").textContent = count;
    button.setAttribute("aria-label", count + " " + name);
    button.setAttribute("aria-pressed", String(asked.picked === pick));
  }
  const starred = pickedAs("star");
  pickGroup.hidden = !starred.length && !pickedAs("reject").length && !asked.picked;
  pickGroup.querySelector(".copy-ids").disabled = !starred.some(id => inManifest.has(id));
  pickGroup.querySelector(".copy-entries").disabled = !starred.length;
  compareButton.hidden = !marked.length;
  compareButton.querySelector("b").textContent = marked.length;
  if (asked.picked) show();
}

function setMark(id) {
  if (marked.includes(id)) marked = marked.filter(other => other !== id);
  else if (marked.length < MOST_SIDE_BY_SIDE) marked.push(id);
  else return tell("No more than " + MOST_SIDE_BY_SIDE + " are compared.");
  showPicks();
  tell(id + (marked.includes(id) ? ": will be compared" : ": won't be compared"));
}

const formerOf = card => JSON.parse(card.dataset.former || "[]");

function tell(text) {
  (viewer.open ? viewer.querySelector(".told") : shown).textContent = text;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {  // not where a page comes from http, or the browser says no
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  tell("Copied " + what + ".");
}

function copyOf(card, kind) {
  copy(kind === "id" ? idOf(card) : card.dataset[kind], (kind === "id" ? "the id" : kind === "yaml" ? "the entry" : "the command") + " of " + idOf(card));
}

const toolsTemplate = document.querySelector("template.tools"), linksTemplate = document.querySelector("template.links");
for (const card of cards) {
  const id = idOf(card), tools = toolsTemplate.content.cloneNode(true);
  for (const button of tools.querySelectorAll("button")) button.setAttribute("aria-label", button.title.replace(/ \(.*/, "") + " " + id);
  card.insertBefore(tools, card.querySelector(".caption"));
  if (!card.dataset.yaml) continue;
  const links = linksTemplate.content.cloneNode(true);
  for (const button of links.querySelectorAll("button")) button.setAttribute("aria-label", "Copy " + button.textContent + " of " + id);
  if (card.dataset.record) {
    const record = document.createElement("a");
    record.href = card.dataset.record;
    record.textContent = "record";
    links.querySelector("p").append(" · ", record);
  }
  const former = formerOf(card);
  if (former.length) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: former.length === 1 ? "1 former picture" : former.length + " former pictures" });
    button.addEventListener("click", () => openViewer([id, ...former.map(each => id + " " + each.key)], 0, MOST_SIDE_BY_SIDE));
    links.querySelector("p").append(" · ", button);
  }
  card.querySelector(".caption").append(links);
}

document.querySelector("main").addEventListener("click", event => {
  const button = event.target.closest("button"), card = event.target.closest(".card");
  if (!button || !card) return;
  if (button.dataset.pick) setPick(idOf(card), button.dataset.pick);
  else if ("mark" in button.dataset) setMark(idOf(card));
  else if (button.dataset.copy) copyOf(card, button.dataset.copy);
});
document.querySelector("main").addEventListener("keydown", event => {
  const card = event.target.closest(".card");
  if (!card || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = { s: () => setPick(idOf(card), "star"), x: () => setPick(idOf(card), "reject"), c: () => setMark(idOf(card)) }[event.key];
  if (act) { event.preventDefault(); act(); }
});
for (const [name, pick] of [["starred", "star"], ["rejected", "reject"]]) {
  pickGroup.querySelector("." + name).addEventListener("click", () => {
    ask("picked", asked.picked === pick ? "" : pick);
    showPicks();
  });
}
pickGroup.querySelector(".copy-ids").addEventListener("click", () => {
  const starred = pickedAs("star"), ids = starred.filter(id => inManifest.has(id)), left = starred.length - ids.length;
  copy(ids.join(" "), "ids, for --only" + (left ? "; " + (left === 1 ? "1 earlier picture is" : left + " earlier pictures are") + " left out" : ""));
});
pickGroup.querySelector(".copy-entries").addEventListener("click", () => {
  copy(pickedAs("star").map(id => picks[id].yaml).join(""), "entries, as a manifest has them");
});
compareButton.addEventListener("click", () => openViewer(marked, 0, marked.length));
addEventListener("storage", event => { if (event.key === pickKey) { readPicks(); showPicks(); } });
