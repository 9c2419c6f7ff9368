// The viewer: one to four pictures, fit or pixel by pixel, zoomed and moved in step; before and after.
const viewer = document.querySelector("dialog.viewer");
const panes = viewer.querySelector(".panes");
const slider = viewer.querySelector(".slider"), cut = slider.querySelector("input");
const view = { ids: [], at: 0, count: 1, active: 0, zoom: 1, x: .5, y: .5, slide: false, regions: false };
// `zoom` 1 fits; `x` and `y`: which place of the pictures, in fractions of them, is in the middle.

const inView = () => view.ids.slice(view.at, view.at + view.count);
const cardAt = place => cardOf(place) || cardOf(place.slice(0, place.lastIndexOf(" ")));  // of an id, or of an id and one of its former pictures
const activeCard = () => cardAt(inView()[view.active]);
const isShown = card => card && card.querySelector(".picture img");
const shownIds = () => visibleCards().filter(isShown).map(idOf);

function openViewer(ids, at, count) {
  Object.assign(view, { ids: ids.filter(id => isShown(cardAt(id))), at, count, active: 0, zoom: 1, x: .5, y: .5, slide: false, regions: false });
  if (!view.ids.length) return;
  cut.value = 50;
  hold(false);
  viewer.querySelector(".told").textContent = "";
  fill();
  if (!viewer.open) viewer.showModal();
  panes.children[view.active].focus();
  update();
}

// Pictures

function fill() {
  view.count = Math.min(view.count, view.ids.length);
  view.at = Math.max(0, Math.min(view.at, view.ids.length - view.count));
  view.active = Math.min(view.active, view.count - 1);
  const hadFocus = !viewer.contains(document.activeElement) || panes.contains(document.activeElement);
  panes.replaceChildren(...inView().map(makePane));
  panes.dataset.count = view.count;
  for (const id of [view.ids[view.at + view.count], view.ids[view.at - 1]]) {
    if (id && cardAt(id).dataset.view) new Image().src = cardAt(id).dataset.view;  // ahead of the next key
  }
  update();
  if (hadFocus || !viewer.contains(document.activeElement)) panes.children[view.active].focus();
}

function makePane(id, index) {
  const card = cardAt(id), small = card.querySelector(".picture img");
  const former = formerOf(card).find(each => id.endsWith(" " + each.key));
  const pane = element("figure", "", { className: "pane", tabIndex: 0 });
  const result = element("img", "", { className: "result", alt: small.alt, src: former ? former.view : small.src, draggable: false });
  pane.size = former ? [former.width, former.height]
    : [Number(card.dataset.width) || small.width, Number(card.dataset.height) || small.height];
  if (card.dataset.view && !former) {
    const full = new Image();
    full.src = card.dataset.view;
    full.decode().then(() => { result.src = full.src; }, () => pane.classList.add("small"));
  }
  const frame = element("div", result, { className: "frame" });
  if (card.dataset.before) {
    const before = element("img", "", { className: "before", alt: "", src: card.dataset.before, draggable: false });
    before.addEventListener("error", () => { before.remove(); update(); });
    frame.append(before);
  }
  const varied = Object.entries(axesOf.get(card)).filter(([name]) => axisValues.has(name) && view.count > 1 && !former);
  const name = former ? former.told : idOf(card);
  pane.append(frame, element("figcaption", element("b", name)));
  for (const [look, names] of former ? [] : regionsOf(card)) {
    frame.append(element("span", "", { className: look }));
    pane.lastChild.append(element("i", names.join(" + ")));
  }
  pane.lastChild.append(...varied.map(([name, value]) => element("span", name + " " + value)));
  pane.setAttribute("aria-label", name);
  pane.addEventListener("focus", () => { view.active = index; update(); });
  return pane;
}

// What styles a mask of the content is for, by the classes that show it; blended ones have one in common.
function regionsOf(card) {
  const found = new Map();
  for (const mask of card.querySelectorAll("[data-region]")) {
    found.set(mask.className, [...found.get(mask.className) || [], mask.dataset.region]);
  }
  return found;
}

// Where they are

function place() {
  for (const pane of panes.children) {
    const frame = pane.querySelector(".frame"), [width, height] = pane.size;
    const box = [frame.clientWidth, frame.clientHeight], fit = Math.min(box[0] / width, box[1] / height);
    const size = [width * fit * view.zoom, height * fit * view.zoom];
    const [left, top] = size.map((length, axis) => length <= box[axis]
      ? (box[axis] - length) / 2
      : Math.min(0, Math.max(box[axis] - length, box[axis] / 2 - length * [view.x, view.y][axis])));
    for (const image of frame.children) {
      Object.assign(image.style, { width: size[0] + "px", height: size[1] + "px", transform: `translate(${left}px, ${top}px)` });
    }
    const before = frame.querySelector(".before");
    const uncovered = view.slide ? Math.max(0, left + size[0] - box[0] * cut.value / 100) : 0;
    if (before) before.style.clipPath = view.slide ? `inset(0 ${Math.min(uncovered, size[0])}px 0 0)` : "";
    pane.classList.toggle("pixels", fit * view.zoom * devicePixelRatio >= 2);
  }
}

// The zoom at which a pixel of the active picture is one of the screen.
function actualZoom() {
  const pane = panes.children[view.active], frame = pane.querySelector(".frame"), [width, height] = pane.size;
  return 1 / devicePixelRatio / Math.min(frame.clientWidth / width, frame.clientHeight / height);
}

function zoomTo(zoom, x = view.x, y = view.y) {
  const most = Math.max(8 * actualZoom(), 8);
  Object.assign(view, { zoom: Math.min(most, Math.max(Math.min(1, actualZoom()), zoom)), x, y });
  update();
}

// By so many px of the screen; what would leave the picture behind is not done.
function move(right, down) {
  const pane = panes.children[view.active], frame = pane.querySelector(".frame"), image = frame.firstChild;
  [["x", right, image.offsetWidth, frame.clientWidth], ["y", down, image.offsetHeight, frame.clientHeight]].forEach(([axis, by, length, room]) => {
    const edge = Math.min(.5, room / 2 / length);
    view[axis] = Math.min(1 - edge, Math.max(edge, view[axis] - by / length));
  });
  place();
}

function update() {
  viewer.classList.toggle("masked", view.regions);
  place();
  const card = activeCard(), of = view.ids.length, last = view.at + view.count, id = idOf(card);
  const percent = Math.round(100 * view.zoom / actualZoom());
  viewer.querySelector(".place").textContent = `${id} · ${view.count > 1 ? `${view.at + 1} to ${last}` : view.at + 1} of ${of}`;
  viewer.querySelector(".percent").textContent = `${percent} %`;
  [...panes.children].forEach((pane, index) => pane.classList.toggle("active", view.count > 1 && index === view.active));
  const press = (selector, test) => {
    for (const button of viewer.querySelectorAll(selector)) button.setAttribute("aria-pressed", String(test(button)));
  };
  press("[data-count]", button => Number(button.dataset.count) === view.count);
  press("[data-pick]", button => button.dataset.pick === pickOf(id));
  press("[data-do=slide]", () => view.slide);
  press("[data-do=regions]", () => view.regions);
  press("[data-do=fit]", () => view.zoom === 1);
  press("[data-do=actual]", () => percent === 100);
  const compared = Boolean(panes.querySelector(".before"));
  for (const name of ["hold", "slide"]) viewer.querySelector(`[data-do=${name}]`).disabled = !compared;
  viewer.querySelector("[data-do=regions]").disabled = !panes.querySelector(".mask");
  for (const button of viewer.querySelectorAll("[data-count]")) button.disabled = Number(button.dataset.count) > of;
  slider.hidden = !(view.slide && compared);
  viewer.classList.toggle("sliding", !slider.hidden);
}

// What can be done

function hold(on) { viewer.classList.toggle("holding", on); }

// To other pictures, or another number of them: what fits fits again, else pixels stay as large as they are.
function turnTo(at, count) {
  const scale = view.zoom === 1 ? null : view.zoom / actualZoom();
  Object.assign(view, { at, count });
  fill();
  if (scale) zoomTo(scale * actualZoom());
}

const acts = {
  previous: () => turnTo(view.at - 1, view.count),
  next: () => turnTo(view.at + 1, view.count),
  fit: () => zoomTo(1, .5, .5),
  actual: () => zoomTo(actualZoom()),
  toggle: () => view.zoom === 1 ? zoomTo(actualZoom()) : zoomTo(1, .5, .5),
  slide: () => { view.slide = !view.slide; update(); },
  regions: () => { view.regions = !view.regions; update(); },
  close: () => viewer.close(),
};
const keys = {
  ArrowLeft: acts.previous, ArrowRight: acts.next, f: acts.fit, z: acts.toggle, d: acts.slide, m: acts.regions,
  "+": () => zoomTo(view.zoom * 1.5), "=": () => zoomTo(view.zoom * 1.5), "-": () => zoomTo(view.zoom / 1.5),
  b: () => hold(true),
  s: () => { setPick(idOf(activeCard()), "star"); update(); },
  x: () => { setPick(idOf(activeCard()), "reject"); update(); },
};
const pans = { ArrowLeft: [80, 0], ArrowRight: [-80, 0], ArrowUp: [0, 80], ArrowDown: [0, -80] };

viewer.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === cut && event.key.startsWith("Arrow")) return;
  const count = Number(event.key);
  const act = pans[event.key] && (event.shiftKey || !keys[event.key]) ? () => move(...pans[event.key])
    : count >= 1 && count <= MOST_SIDE_BY_SIDE ? () => turnTo(view.at, count) : keys[event.key];
  if (act) { event.preventDefault(); act(); }
});
addEventListener("keyup", event => { if (event.key === "b") hold(false); });
addEventListener("blur", () => hold(false));

viewer.addEventListener("click", event => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.count) turnTo(view.at, Number(button.dataset.count));
  else if (button.dataset.pick) { setPick(idOf(activeCard()), button.dataset.pick); update(); }
  else if (acts[button.dataset.do]) acts[button.dataset.do]();
});
const holdButton = viewer.querySelector("[data-do=hold]");
holdButton.addEventListener("pointerdown", () => hold(true));
addEventListener("pointerup", () => hold(false));
holdButton.addEventListener("keydown", event => { if (event.key === " " || event.key === "Enter") hold(true); });
holdButton.addEventListener("keyup", () => hold(false));
cut.addEventListener("input", place);

panes.addEventListener("wheel", event => {
  event.preventDefault();
  zoomTo(view.zoom * Math.exp(-event.deltaY / 400));
}, { passive: false });
panes.addEventListener("dblclick", acts.toggle);
panes.addEventListener("pointermove", event => {
  const frame = event.target.closest(".frame");
  if (!(event.buttons & 1) || !frame) return;
  const box = frame.getBoundingClientRect();
  if (view.slide && view.zoom === 1) cut.value = 100 * (event.clientX - box.left) / box.width;
  else move(event.movementX, event.movementY);
  place();
});

viewer.addEventListener("close", () => {
  const card = activeCard();
  if (card) card.querySelector(".picture").focus();  // where one has come to, not where one began
});
addEventListener("resize", () => { if (viewer.open) update(); });

document.querySelector("main").addEventListener("click", event => {
  const picture = event.target.closest(".picture");
  if (!picture || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const card = picture.closest(".card");
  if (!isShown(card)) return;
  event.preventDefault();
  const ids = shownIds();
  openViewer(ids, ids.indexOf(idOf(card)), 1);
});
readPicks();
showPicks();
