// The page: inputs, results, and the address that holds the inputs.

const find = (id) => document.getElementById(id);
const whole = (text) => (/^\d+$/.test(text) ? Number(text) : NaN);
const probability = (text) => (/^(\d+\.?\d*|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : NaN);

// Values a slider stops at: whole numbers while they differ by less than 3%, then steps of 3%, and the powers of two.
function wholeStops(low, high) {
  const stops = new Set([high]);
  for (let value = low; value < high; value = Math.max(value + 1, Math.round(value * 1.03))) stops.add(value);
  for (let value = 2; value < high; value *= 2) if (value >= low) stops.add(value);
  for (let value = 10; value < high; value *= 10) if (value >= low) stops.add(value);
  return [...stops].sort((a, b) => a - b);
}

function riskStops() {
  const stops = [0.9, 0.99, 0.999];
  for (let power = 1; power <= 9; power++) {
    for (const digit of [1, 1.5, 2, 3, 5, 7]) stops.push(Number(`${digit}e-${power}`));
  }
  return stops.sort((a, b) => a - b);
}

function input(start, low, high, read, stops) {
  return { start, low, high, read, stops };
}

const INPUTS = {
  n: input(256, SMALLEST_WIDTH, LARGEST_WIDTH, whole, wholeStops(SMALLEST_WIDTH, LARGEST_WIDTH)),
  T: input(100, 1, LONGEST, whole, wholeStops(1, LONGEST)),
  layers: input(1, 1, 64, whole, Array.from({ length: 64 }, (_, i) => i + 1)),
  alpha: input(0.01, 1e-9, 0.999, probability, riskStops()),
};
const FIELDS = ["real", "complex"];

// Read all inputs, mark the wrong ones; null where there is one.
function readInputs() {
  const values = { field: document.querySelector("input[name=field]:checked").value };
  let right = true;
  for (const [id, { low, high, read }] of Object.entries(INPUTS)) {
    const text = find(id).value.trim();
    const value = read(text);
    const fine = value >= low && value <= high;
    find(id).setAttribute("aria-invalid", String(!fine));
    const message = fine ? "" : complaint(text, value, INPUTS[id]);
    if (find(`${id}-error`).textContent !== message) find(`${id}-error`).textContent = message;
    values[id] = value;
    right &&= fine;
  }
  return right ? values : null;
}

function complaint(text, value, { low, high, read }) {
  const kind = read === whole ? "whole number" : "number";
  const example = read === whole ? "" : " like 0.01 or 1e-3";
  if (text === "") return `Empty: give a ${kind} from ${low} to ${high}.`;
  if (text.includes(",")) return "No commas, please: write 65536, and 0.01 with a point.";
  if (Number.isNaN(value)) return `Not a ${kind}${example}: give one from ${low} to ${high}.`;
  return value < low ? `Too small: the least is ${low}.` : `Too large: the most is ${high}.`;
}

// The address: #n=256&T=1000&layers=1&alpha=0.01&field=real
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const [id, { start }] of Object.entries(INPUTS)) {
    find(id).value = given.get(id) ?? String(start);
    follow(id);
  }
  const field = FIELDS.includes(given.get("field")) ? given.get("field") : FIELDS[0];
  for (const radio of document.querySelectorAll("input[name=field]")) radio.checked = radio.value === field;
}

function writeAddress(values) {
  const address = "#" + ["n", "T", "layers", "alpha", "field"].map((id) => `${id}=${values[id]}`).join("&");
  if (location.hash !== address) history.replaceState(null, "", address);
}

// Move the slider of an input to its number.
function follow(id) {
  const { read, stops } = INPUTS[id];
  const value = read(find(id).value.trim());
  if (Number.isNaN(value)) return;
  const distance = (stop) => Math.abs(Math.log(stop / Math.max(value, 1e-12)));
  const slider = find(`${id}-slider`);
  slider.value = stops.reduce((best, stop, i) => (distance(stop) < distance(stops[best]) ? i : best), 0);
  slider.setAttribute("aria-valuetext", String(value));
}

const cache = { key: "", powers: null };
function powersOf(n, field) {
  const key = `${n} ${field}`;
  if (cache.key !== key) Object.assign(cache, { key, powers: logPowerNorms(n, field, LONGEST) });
  return cache.powers;
}

// All that the page shows of given inputs.
function compute({ n, field, layers, alpha, T }) {
  const law = radiusLaw(n, field);
  const gains = { glorot: 1, mean: gainOfMean(law), risk: gainOfRisk(law, alpha, layers), paper: gainOfPaper(n) };
  const powers = powersOf(n, field);
  const curves = {};
  const rows = {};
  for (const rule of RULES.filter((name) => gains[name] !== null)) {
    const gain = gains[rule];
    const growth = (curves[rule] = logGrowth(powers, gain));
    rows[rule] = {
      gain,
      one: [riskAbove(law, 1 / gain, 1), safetyAbove(law, 1 / gain, 1)],
      any: [riskAbove(law, 1 / gain, layers), safetyAbove(law, 1 / gain, layers)],
      growth: growth[T - 1],
      median: MEDIANS[field][rule] ? logMedian(n, field, rule, T) : null,
      explosion: explosionStep(growth),
      overflow: overflowStep(growth),
    };
  }
  return { law, gains, curves, rows };
}

// The probability that any of `layers` radii exceeds 1, given with its complement. Beyond the tables one of them does
// with less than 1e-12, and any of them with less than the sum.
function shownProbability([p, complement], layers) {
  if (p === null) return `< ${Number((layers * 1e-12).toPrecision(2)).toExponential()}`;
  if (p > 0.9999) return complement === 0 ? "1" : `1 − ${complement.toExponential(1)}`;
  return p >= 0.001 ? p.toPrecision(p > 0.99 ? 4 : 3) : p.toExponential(2);
}

// exp(log), in digits that a reader can take in.
function shownGrowth(log, digits = 4) {
  if (log < Math.log(1e5)) return Number(Math.exp(log).toPrecision(digits)).toString();
  const power = Math.floor(log / Math.LN10);
  return `${Math.exp(log - power * Math.LN10).toFixed(Math.min(digits - 1, 2))}e${power}`;
}

const shownStep = (step) => (step === null ? `> ${LONGEST}` : String(step));

function shownRow({ gain, one, any, growth, median, explosion, overflow }, layers) {
  return [
    gain.toFixed(6),
    shownProbability(one, 1),
    shownProbability(any, layers),
    shownGrowth(growth),
    median === null ? "–" : shownGrowth(median, 2),
    shownStep(explosion),
    shownStep(overflow),
  ];
}

// What the mean of the row "risk" does not say.
function reading({ layers, alpha }, { risk }) {
  const rare = Number((100 * alpha).toPrecision(3));
  const all = layers > 1 ? `all ${layers} layers are` : "the recurrence is";
  const later = risk.overflow === null ? "grows in the end all the same" : `overflows at step ${risk.overflow} all the same`;
  return (
    `With the gain for risk α, in all but ${rare} % of draws ${all} stable: the state stays bounded for ever. ` +
    `Its mean ${later}, because the other draws carry it.`
  );
}

// What is not in the table, and why.
function notes({ n, T }, rows) {
  const paper = `The paper's rule does not exist at n = ${n}: its Gumbel limit needs n ≥ ${SMALLEST_PAPER_WIDTH}. `;
  const last = lastMedianStep(n);
  const reach = last === 0 ? `up to n = ${Math.max(...MEDIANS.widths)}` : `up to T = ${last} at this width`;
  return (rows.paper ? "" : paper) + (T > last ? `Medians are tabulated ${reach}.` : "");
}

function showTable(values, rows) {
  find("layers-head").textContent = `P(any ρ > 1), ${values.layers} layer${values.layers > 1 ? "s" : ""}`;
  find("growth-head").textContent = `E‖h‖²/n at T = ${values.T}`;
  const heads = [...document.querySelectorAll("thead th")].map((head) => head.textContent);
  find("rules").replaceChildren(
    ...Object.entries(rows).map(([rule, row]) => {
      const made = document.createElement("tr");
      const name = document.createElement("th");
      name.scope = "row";
      const sample = element("svg", { viewBox: "0 0 44 12", "aria-hidden": "true" });
      line(sample, `curve ${rule}`, 1, 6, 43, 6);
      name.append(sample, NAMES[rule]);
      made.append(name);
      shownRow(row, values.layers).forEach((text, i) => {
        const cell = made.insertCell();
        cell.textContent = text;
        cell.dataset.label = heads[i + 1];
      });
      made.dataset.rule = rule;
      return made;
    }),
  );
  find("reading").textContent = reading(values, rows);
  find("notes").textContent = notes(values, rows);
}

function showSummary({ n, field, layers, alpha, T }, rows) {
  const { glorot, mean, risk } = rows;
  const explodes = glorot.explosion !== null && glorot.explosion <= T;
  const when = explodes ? `passes 2t, twice that of its inputs, at step t = ${glorot.explosion}` : `stays below 2t, twice that of its inputs, for ${T} steps`;
  find("summary").textContent =
    `A ${field} Glorot matrix of width ${n} has ρ > 1 with probability ${shownProbability(glorot.one, 1)}; ` +
    `the mean growth of its state ${when}. ` +
    `Multiply it by ${mean.gain.toFixed(4)} (mean + sd), or by ${risk.gain.toFixed(4)} for a risk of ${alpha} that ` +
    (layers > 1 ? `any of ${layers} layers is unstable.` : "it is unstable.");
}

let shown = null;
function update() {
  const values = readInputs();
  find("results").hidden = values === null;
  if (values === null) {
    find("summary").textContent = "Nothing to show before every input is right.";
    return;
  }
  writeAddress(values);
  shown = { values, ...compute(values) };
  showTable(values, shown.rows);
  showSummary(values, shown.rows);
  const matrix = `--n ${values.n} --field ${values.field}`;
  const commands = [`rmt gain ${matrix} --alpha ${values.alpha} --layers ${values.layers}`, `rmt radius ${matrix}`];
  find("command").textContent = commands.join("\n");
  draw();
}

function draw() {
  if (shown === null || find("results").hidden) return;
  const { values, law, gains, curves } = shown;
  const { n, field, T } = values;
  const median = (rule, t) => (MEDIANS[field][rule] ? logMedian(n, field, rule, t) : null);
  plotGrowth(find("growth"), curves, median, T, n);
  plotDensity(find("density"), law, gains);
}

// Sliders report faster than a page can be drawn.
let waiting = false;
function updateSoon() {
  if (waiting) return;
  waiting = true;
  setTimeout(() => {
    waiting = false;
    update();
  });
}

for (const [id, { stops }] of Object.entries(INPUTS)) {
  const slider = find(`${id}-slider`);
  Object.assign(slider, { min: 0, max: stops.length - 1, step: 1 });
  slider.addEventListener("input", () => {
    find(id).value = String(stops[slider.value]);
    slider.setAttribute("aria-valuetext", find(id).value);
    updateSoon();
  });
  find(id).addEventListener("input", () => {
    follow(id);
    updateSoon();
  });
}
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
for (const radio of document.querySelectorAll("input[name=field]")) radio.addEventListener("change", updateSoon);
addEventListener("hashchange", () => {
  readAddress();
  update();
});
addEventListener("resize", draw);
readAddress();
update();
