// The two figures, as SVG, redrawn at the width of the page.

const RULES = ["glorot", "mean", "risk", "paper"];
const NAMES = { glorot: "1 (Glorot)", mean: "mean + sd", risk: "risk α", paper: "paper" };

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function frame(place, title) {
  const width = Math.max(260, Math.min(place.clientWidth || 680, 1000));
  const height = Math.round(Math.max(240, Math.min(0.55 * width, 400)));
  const box = { left: 52, right: width - 14, top: 26, bottom: height - 44 };
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  place.replaceChildren(svg);
  return { svg, box };
}

function line(svg, kind, x1, y1, x2, y2) {
  svg.append(element("line", { class: kind, x1, y1, x2, y2 }));
}

function label(svg, text, x, y, anchor = "middle", kind = "halo") {
  const made = element("text", { class: kind, x, y, "text-anchor": anchor }, text);
  svg.append(made);
  return made;
}

function path(points) {
  return points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

// Powers of ten between two logs, at most `most` of them.
function decades(low, high, most) {
  const step = Math.max(1, Math.ceil((high - low) / most));
  const result = [];
  for (let power = Math.ceil(low / step) * step; power <= high + 1e-9; power += step) result.push(power);
  return result;
}

const SUPERSCRIPTS = [..."⁰¹²³⁴⁵⁶⁷⁸⁹"];
function powerOfTen(power) {
  if (power >= 0 && power <= 3) return String(10 ** power);
  return "10" + (power < 0 ? "⁻" : "") + [...String(Math.abs(power))].map((digit) => SUPERSCRIPTS[digit]).join("");
}

// `curves`: for each rule log E||h_t||^2 / n, t = 1, 2, ...; `median(rule, t)`: log of the median, or null.
function plotGrowth(place, curves, median, T, n) {
  const { svg, box } = frame(place, `E‖h‖²/n against the step at width ${n}; the table has the values at step ${T}`);
  const last = Math.min(LONGEST, Math.max(10, 4 * T, 10 * Math.sqrt(n)));
  const right = Math.log10(last);
  const present = RULES.filter((rule) => curves[rule]);
  const highest = Math.max(...present.map((rule) => curves[rule][Math.floor(last) - 1])) / Math.LN10;
  const top = Math.max(2, Math.min(Math.ceil(highest), Math.ceil(2 * right + 4)));
  const x = (t) => box.left + ((box.right - box.left) * Math.log10(t)) / right;
  const y = (log10) => box.bottom - ((box.bottom - box.top) * log10) / top;
  for (const power of decades(0, top, (box.bottom - box.top) / 40)) {
    line(svg, "grid", box.left, y(power), box.right, y(power));
    label(svg, powerOfTen(power), box.left - 6, y(power) + 4, "end", "tick");
  }
  for (const power of decades(0, right, 8)) {
    line(svg, "grid", x(10 ** power), box.top, x(10 ** power), box.bottom);
    label(svg, powerOfTen(power), x(10 ** power), box.bottom + 18, "middle", "tick");
  }
  if (right % 1 > 0.2) label(svg, String(Math.round(last)), box.right, box.bottom + 18, "end", "tick");
  line(svg, "axis", box.left, box.bottom, box.right, box.bottom);
  line(svg, "axis", box.left, box.top, box.left, box.bottom);
  label(svg, "step t", (box.left + box.right) / 2, box.bottom + 36, "middle", "tick");
  label(svg, "E‖h‖²/n", 4, box.top - 13, "start");
  const size = { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top };
  const clip = element("clipPath", { id: "inside" }, element("rect", size));
  const inside = element("g", { "clip-path": "url(#inside)" });
  svg.append(clip, inside);
  line(inside, "linear", x(1), y(0), x(last), y(right));
  line(inside, "mark", x(T), box.top, x(T), box.bottom);
  const steps = [...new Set(Array.from({ length: 300 }, (_, i) => Math.round(last ** (i / 299))))];
  for (const rule of present) {
    const points = steps.map((t) => [x(t), Math.max(y(curves[rule][t - 1] / Math.LN10), -1e4)]);
    inside.append(element("path", { class: `curve ${rule}`, d: path(points) }));
    const typical = steps.map((t) => [t, median(rule, t)]).filter(([, log]) => log !== null);
    if (typical.length) {
      const drawn = typical.map(([t, log]) => [x(t), y(log / Math.LN10)]);
      inside.append(element("path", { class: `curve median ${rule}`, d: path(drawn) }));
      const [cx, cy] = drawn[drawn.length - 1];
      inside.append(element("circle", { class: `curve ${rule}`, style: "stroke-dasharray: none", cx, cy, r: 2 }));
    }
  }
  label(svg, `T = ${T}`, Math.max(100, Math.min(x(T), box.right - 30)), box.top - 13);
}

// The density of rho, and the thresholds 1/gain.
function plotDensity(place, law, gains) {
  const { svg, box } = frame(place, `Density of the spectral radius at width ${law.n}, coloured where it is above 1`);
  const count = 240;
  const edges = Array.from({ length: count + 1 }, (_, i) => -12 + (14 * i) / count);
  const radii = edges.map((g) => radiusAt(law, g));
  const below = edges.map((g) => Math.exp(-Math.exp(g)));
  const points = [];
  for (let i = count; i > 0; i--) {
    points.push([(radii[i] + radii[i - 1]) / 2, (below[i - 1] - below[i]) / (radii[i - 1] - radii[i])]);
  }
  const placed = RULES.filter((rule) => gains[rule] && 1 / gains[rule] < law.mean + 12 * law.std);
  placed.sort((one, other) => gains[other] - gains[one]);
  const low = Math.min(points[0][0], 1 / gains[placed[0]]) - 0.6 * law.std;
  // To the right of each line there must be room for its name, of about 7.5 to a letter.
  const room = (rule) => 1 - (7.5 * NAMES[rule].length + 8) / (box.right - box.left);
  const high = Math.max(radiusAt(law, -8), ...placed.map((rule) => low + (1 / gains[rule] - low) / room(rule)));
  const peak = Math.max(...points.map((point) => point[1]));
  const x = (r) => box.left + ((box.right - box.left) * (r - low)) / (high - low);
  const y = (density) => box.bottom - ((box.bottom - box.top - 17 * placed.length) * density) / peak;
  const step = niceStep((high - low) / ((box.right - box.left) / 80));
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  for (let i = Math.ceil(low / step); i * step <= high; i++) {
    line(svg, "grid", x(i * step), box.top, x(i * step), box.bottom);
    label(svg, (i * step).toFixed(digits), x(i * step), box.bottom + 18, "middle", "tick");
  }
  const drawn = points.filter(([r]) => r <= high).map(([r, density]) => [x(r), y(density)]);
  const unstable = drawn.filter(([position]) => position >= x(1));
  if (unstable.length) {
    const [first, final] = [unstable[0][0], unstable[unstable.length - 1][0]];
    const outline = [[first, box.bottom], ...unstable, [final, box.bottom]];
    svg.append(element("path", { class: "area", d: path(outline) + "Z" }));
  }
  svg.append(element("path", { class: "outline", d: path(drawn) }));
  line(svg, "axis", box.left, box.bottom, box.right, box.bottom);
  label(svg, "spectral radius ρ of W", (box.left + box.right) / 2, box.bottom + 36, "middle", "tick");
  // From left to right each line begins lower, beside its name, so that none passes through the name of another.
  placed.forEach((rule, i) => {
    const place = x(1 / gains[rule]);
    const top = box.top + 16 * i;
    line(svg, `curve ${rule}`, place, top, place, box.bottom);
    label(svg, NAMES[rule], place + 6, top + 11, "start");
  });
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9));
}
