// While a run is under way the page loads itself anew, and is again where it was.
const live = document.querySelector(".live");
const placeKey = "styletransfer place " + location.pathname;
const QUIET_MS = 3000;  // after the last touch: nobody is interrupted
const SILENT_M = 10;  // a run that goes on writes far more often; one that was killed never again
let touched = 0, paused = false;

function keepPlace() {
  const table = document.querySelector(".cross");
  const inSight = card => card.getBoundingClientRect().bottom > 0 && card.getBoundingClientRect().top < innerHeight;
  const focused = document.activeElement && document.activeElement.closest(".card");
  const top = focused && inSight(focused) ? focused : visibleCards().find(inSight);
  const kept = {
    top: top && { id: top.id, at: top.getBoundingClientRect().top }, scrolled: scrollY,
    focused: focused && focused.id, searching: document.activeElement === search,
    view: viewer.open ? view : null, cut: cut.value, marked, paused,
    inTable: table && [table.scrollLeft, table.scrollTop],
  };
  try { sessionStorage.setItem(placeKey, JSON.stringify(kept)); } catch {}
}

function findPlace() {
  let kept = null;
  try {
    kept = JSON.parse(sessionStorage.getItem(placeKey));
    sessionStorage.removeItem(placeKey);
  } catch {}
  if (!kept) return;
  paused = kept.paused;
  marked = kept.marked.filter(cardOf);
  showPicks();
  const focused = kept.focused && document.getElementById(kept.focused);
  if (focused) focused.querySelector(".picture").focus({ preventScroll: true });
  if (kept.searching) search.focus({ preventScroll: true });
  const table = document.querySelector(".cross");
  if (table && kept.inTable) table.scrollTo(...kept.inTable);
  const top = kept.top && document.getElementById(kept.top.id);
  if (top && kept.scrolled > 0) {
    history.scrollRestoration = "manual";
    const back = () => scrollBy({ top: top.getBoundingClientRect().top - kept.top.at, behavior: "instant" });
    back();
    requestAnimationFrame(() => requestAnimationFrame(back));  // cards come to their heights as they come into sight
  }
  if (kept.view) {
    openViewer(kept.view.ids, kept.view.at, kept.view.count);
    cut.value = kept.cut;
    if (viewer.open) { Object.assign(view, kept.view, { ids: view.ids }); fill(); }
  }
}

// Whether there is a newer page; null where the server has gone with the run: then what there is stays.
async function isNewer() {
  if (!location.protocol.startsWith("http")) return true;
  try {
    const answer = await fetch(location.href, { method: "HEAD", cache: "no-store" });
    const changed = answer.headers.get("Last-Modified");
    return answer.ok ? !changed || Date.parse(changed) > Date.parse(document.lastModified) : null;
  } catch { return null; }
}

// Who opened something, or is at a button by keyboard, is left there for a while.
function isBusy() {
  const focused = document.activeElement, onControl = focused && focused.matches("button:focus-visible, select, input[type=range]");
  return Boolean(document.querySelector("details[open]")) || onControl && Date.now() - touched < 10 * QUIET_MS;
}

async function reload() {
  const watched = viewer.open && inView().every(id => cardAt(id).dataset.state !== "rendering");
  if (paused || document.hidden || watched || isBusy() || Date.now() - touched < QUIET_MS) return;
  const newer = await isNewer();
  if (newer) { keepPlace(); location.reload(); }
  else if (newer === null) live.querySelector(".pulse").textContent = "Over, or out of reach";
}

findPlace();
if (live) {
  const pause = live.querySelector(".pause");
  const showPause = () => pause.setAttribute("aria-pressed", String(paused));
  pause.addEventListener("click", () => { paused = !paused; showPause(); });
  showPause();
  for (const kind of ["pointerdown", "keydown", "wheel"]) addEventListener(kind, () => { touched = Date.now(); }, { passive: true });
  const silent_m = (Date.now() - new Date(live.dataset.updated)) / 60000;
  if (silent_m > SILENT_M) live.querySelector(".pulse").textContent = "No news for " + Math.round(silent_m) + " min";
  for (const time of live.querySelectorAll("time")) {
    time.textContent = new Date(time.dateTime).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  }
  setInterval(reload, 1000 * live.dataset.reloadS);
}
