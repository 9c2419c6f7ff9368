"use strict";
// Shows the cards that match the search and the state asked for, and remembers both in the address.
const cards = [...document.querySelectorAll(".card")];
const buttons = [...document.querySelectorAll(".states button")];
const search = document.querySelector("input");
const shown = document.querySelector(".shown");
const wanted = new URLSearchParams(location.hash.startsWith("#?") ? location.hash.slice(2) : "");
let state = wanted.get("state") || "";
search.value = wanted.get("find") || "";

function show() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const card of cards) {
    const match = (!state || card.dataset.state === state) && words.every(word => card.dataset.find.includes(word));
    card.hidden = !match;
    count += match;
  }
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.value === state));
  const all = count === cards.length;
  shown.textContent = all ? "" : count ? count + " of " + cards.length + " shown" : "Nothing matches.";
}

function remember() {
  const asked = new URLSearchParams();
  if (state) asked.set("state", state);
  if (search.value) asked.set("find", search.value);
  try { history.replaceState(null, "", String(asked) ? "#?" + asked : location.pathname + location.search); } catch {}
}

for (const button of buttons) button.addEventListener("click", () => {
  state = button.value === state ? "" : button.value;
  show();
  remember();
});
search.addEventListener("input", () => { show(); remember(); });
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
});
// A link to a card that is filtered away shows it all the same.
addEventListener("hashchange", () => {
  const card = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (card && card.hidden) { state = ""; search.value = ""; show(); card.scrollIntoView(); }
});
show();
