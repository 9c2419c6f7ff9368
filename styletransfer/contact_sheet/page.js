"use strict";
// The sheet: shows the cards that match the search and the state asked for, and remembers both in the address.
const cards = [...document.querySelectorAll(".card")];
const homes = new Map(cards.map(card => [card, card.parentElement]));  // the sheet, and the one of earlier pairs
const buttons = [...document.querySelectorAll(".states button")];
const search = document.querySelector("input");
const shown = document.querySelector(".shown");
const defaults = Object.entries(JSON.parse(document.body.dataset.defaults));
const wanted = new URLSearchParams(location.hash.startsWith("#?") ? location.hash.slice(2) : "");
const asked = { state: "", find: "", picked: "", rows: "", columns: "" };
for (const name in asked) asked[name] = wanted.get(name) || "";
search.value = asked.find;

const idOf = card => card.id.slice("pair-".length);
const cardOf = id => document.getElementById("pair-" + id);
const visibleCards = () => [...document.querySelectorAll(".card:not([hidden])")];

// All that a card is found by: its names, and every setting, with those that have their default.
const found = new Map();
function textOf(card) {
  if (!found.has(card)) {
    const set = JSON.parse(card.dataset.set);
    const every = Object.entries(set).concat(defaults.filter(([name]) => !(name in set)));
    found.set(card, card.dataset.find + " " + every.map(([name, value]) => name + " " + value).join(" ").toLowerCase());
  }
  return found.get(card);
}

function matches(card, words) {
  return (!asked.state || card.dataset.state === asked.state)
    && (!asked.picked || card.dataset.pick === asked.picked)
    && words.every(word => textOf(card).includes(word));
}

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const card of cards) card.hidden = !matches(card, words);
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.value === asked.state));
  const count = cards.filter(card => !card.hidden).length;
  shown.textContent = count === cards.length ? "" : count ? count + " of " + cards.length + " shown" : "Nothing matches.";
}

function remember() {
  asked.find = search.value;
  const told = new URLSearchParams(Object.entries(asked).filter(([, value]) => value));
  try { history.replaceState(null, "", String(told) ? "#?" + told : location.pathname + location.search); } catch {}
}

function ask(name, value) {
  asked[name] = value;
  show();
  remember();
}

for (const button of buttons) {
  button.addEventListener("click", () => ask("state", button.value === asked.state ? "" : button.value));
}
search.addEventListener("input", () => ask("find", search.value));
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
// A link to a card that is filtered away shows it all the same.
addEventListener("hashchange", () => {
  const card = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (card && card.hidden) { asked.state = asked.picked = search.value = ""; show(); card.scrollIntoView(); }
});

// From picture to picture with the arrow keys.
for (const card of cards) {
  const picture = card.querySelector(".picture");
  picture.tabIndex = 0;
  if (picture.localName !== "a") {
    picture.setAttribute("role", "group");
    picture.setAttribute("aria-label", idOf(card));
  }
}
function beside(card, key) {
  const all = visibleCards(), at = all.indexOf(card), box = card.getBoundingClientRect();
  if (key === "ArrowLeft") return all[at - 1];
  if (key === "ArrowRight") return all[at + 1];
  const sameColumn = other => Math.abs(other.getBoundingClientRect().left - box.left) < 2;
  return key === "ArrowDown" ? all.slice(at + 1).find(sameColumn) : all.slice(0, at).reverse().find(sameColumn);
}
document.querySelector("main").addEventListener("keydown", event => {
  const card = event.target.closest(".card");
  if (event.key === "Enter" && event.target.matches("div.picture")) event.target.click();  // no link: a picture so far
  if (!card || !event.key.startsWith("Arrow") || event.target.closest("dialog") || event.altKey || event.metaKey) return;
  const next = beside(card, event.key);
  if (next) { event.preventDefault(); next.querySelector(".picture").focus(); }
});
show();
