// Rows and columns: the same cards in a table, by what varies: contents, styles, settings.
const cross = document.querySelector(".cross");
const axesGroup = document.querySelector(".axes");
const axisSelects = { rows: axesGroup.querySelector(".rows"), columns: axesGroup.querySelector(".columns") };
const axesOf = new Map(cards.map(card => [card, JSON.parse(card.dataset.axes)]));

// What has more than one value here: in the order of the cards, with its values as they come, numbers by size.
const axisValues = new Map();
for (const axes of axesOf.values()) {
  for (const [name, value] of Object.entries(axes)) {
    if (!axisValues.has(name)) axisValues.set(name, new Set());
    axisValues.get(name).add(value);
  }
}
for (const [name, values] of axisValues) {
  if (values.size < 2) axisValues.delete(name);
  else if (![...values].some(value => value === "" || isNaN(value))) axisValues.set(name, new Set([...values].sort((a, b) => a - b)));
}

function element(name, text, attributes = {}) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(text);
  return made;
}

function heading(axis, value, scope) {
  const cell = element("th", value || "default", { scope });
  const kind = axis === "content" ? ".thumb.content" : axis === "style" ? ".thumb.style" : "";
  const like = kind && cards.find(card => axesOf.get(card)[axis] === value && card.querySelector(kind));
  if (like) cell.prepend(like.querySelector(kind).cloneNode());
  return cell;
}

function layTable(rows, columns) {
  const table = document.createElement("table"), body = document.createElement("tbody");
  const head = document.createElement("tr"), across = columns ? [...axisValues.get(columns)] : [""];
  head.append(element("th", [rows, columns].filter(Boolean).join(" / "), { scope: "col" }));
  for (const value of across) head.append(columns ? heading(columns, value, "col") : element("th", "", { scope: "col" }));
  for (const down of rows ? axisValues.get(rows) : [""]) {
    const row = document.createElement("tr");
    row.append(rows ? heading(rows, down, "row") : element("th", "", { scope: "row" }));
    for (const value of across) {
      const cell = document.createElement("ol");
      cell.append(...cards.filter(card =>
        (!rows || axesOf.get(card)[rows] === down) && (!columns || axesOf.get(card)[columns] === value)));
      row.append(element("td", cell));
    }
    body.append(row);
  }
  table.append(element("thead", head), body);
  return table;
}

function lay() {
  const { rows, columns } = asked, is = axis => axisValues.has(axis);
  const inTable = is(rows) || is(columns);
  if (inTable) cross.replaceChildren(layTable(is(rows) && rows, is(columns) && columns !== rows && columns));
  else {
    for (const card of cards) homes.get(card).append(card);
    cross.replaceChildren();
  }
  cross.hidden = !inTable;
  for (const home of homes.values()) home.hidden = inTable;
}

if (axisValues.size) {
  axesGroup.hidden = false;
  for (const [axis, select] of Object.entries(axisSelects)) {
    select.append(element("option", "none", { value: "" }), ...[...axisValues.keys()].map(name => element("option", name, { value: name })));
    select.value = axisValues.has(asked[axis]) ? asked[axis] : "";
    select.addEventListener("change", () => { ask(axis, select.value); lay(); });
  }
  lay();
}
