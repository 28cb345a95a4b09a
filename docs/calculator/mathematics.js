"use strict";
// What the page computes, from tables of the exact laws (tables.json) and of medians by Monte Carlo (medians.json).
// No document here: the tests call these functions.
//
// W = gain * G / sqrt(n), G a Ginibre matrix, rho its spectral radius at gain 1. A law is seen through
// g = log(-log F(r)), which keeps both tails of F = P(rho < r); the tables hold z = (r - 1) sqrt(n) against g and n.

const SMALLEST_WIDTH = 4;
const LARGEST_WIDTH = 65536;
const SMALLEST_PAPER_WIDTH = 164; // below, gamma_n <= 0
const LONGEST = 100000; // steps
const EXPLOSION = 2; // times the linear growth t
const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

// Barycentric interpolation: the weights of `nodes`, and the value at x as weights of the values there.
function barycentric(nodes) {
  const width = Math.max(...nodes) - Math.min(...nodes);
  const others = (i) => nodes.filter((_, j) => j !== i);
  return nodes.map((x, i) => 1 / others(i).reduce((product, y) => (product * (x - y) * 4) / width, 1));
}

function shares(nodes, weights, x) {
  const hit = nodes.indexOf(x);
  if (hit >= 0) return nodes.map((_, i) => (i === hit ? 1 : 0));
  const terms = nodes.map((y, i) => weights[i] / (x - y));
  const total = terms.reduce((sum, term) => sum + term, 0);
  return terms.map((term) => term / total);
}

const LEVEL_WEIGHTS = barycentric(TABLES.levels);
const WIDTH_NODES = TABLES.widths.map(Math.log);
const WIDTH_WEIGHTS = barycentric(WIDTH_NODES);

// The law of rho. A row of the tables: mean and standard deviation in z; g at r = 1; z at each level of g.
function radiusLaw(n, field) {
  const { small, large } = TABLES[field];
  let row = small[n - SMALLEST_WIDTH];
  if (row === undefined) {
    const part = shares(WIDTH_NODES, WIDTH_WEIGHTS, Math.log(n));
    row = large[0].map((_, column) => large.reduce((sum, values, i) => sum + part[i] * values[column], 0));
  }
  const root = Math.sqrt(n);
  return { n, field, root, mean: 1 + row[0] / root, std: row[1] / root, levelOfOne: row[2], z: row.slice(3) };
}

// The r at which log(-log F(r)) = g.
function radiusAt(law, g) {
  const part = shares(TABLES.levels, LEVEL_WEIGHTS, g);
  return 1 + law.z.reduce((sum, z, i) => sum + part[i] * z, 0) / law.root;
}

// log(-log F(r)); null above the tables, where P(rho > r) < 1e-12, and Infinity below, where F < 1e-5.
function levelAt(law, r) {
  if (r === 1) return law.levelOfOne;
  let [low, high] = [Math.min(...TABLES.levels), Math.max(...TABLES.levels)];
  if (r > radiusAt(law, low)) return null;
  if (r < radiusAt(law, high)) return Infinity;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (radiusAt(law, middle) > r) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

// P(any of `layers` independent radii exceeds r); null where one of them does with a probability below 1e-12 and any
// of them, therefore, with one below `layers` times that.
function riskAbove(law, r, layers) {
  const g = levelAt(law, r);
  return g === null ? null : -Math.expm1(-layers * Math.exp(g));
}

// P(none of `layers` independent radii exceeds r), which keeps its digits where the risk is close to 1.
function safetyAbove(law, r, layers) {
  const g = levelAt(law, r);
  return g === null ? 1 : Math.exp(-layers * Math.exp(g));
}

function gainOfMean(law) {
  return 1 / (law.mean + law.std);
}

// P(any of `layers` radii exceeds 1) = alpha after the rescaling.
function gainOfRisk(law, alpha, layers) {
  return 1 / radiusAt(law, Math.log(-Math.log1p(-alpha) / layers));
}

// The rule of the paper: mean and standard deviation of the Gumbel limit; null where that does not exist.
function gainOfPaper(n) {
  if (n < SMALLEST_PAPER_WIDTH) return null;
  const gamma = Math.log(n) - 2 * Math.log(Math.log(n)) - Math.log(2 * Math.PI);
  const deviations = 0.5772156649015329 + Math.PI / Math.sqrt(6); // Euler's constant, and one standard deviation
  return 1 / (1 + Math.sqrt(gamma / (4 * n)) + deviations / Math.sqrt(4 * gamma * n));
}

// log(E||W^k||_F^2 / n) at gain 1, k = 0, ..., count - 1, exactly at finite n.
function logPowerNorms(n, field, count) {
  return field === "complex" ? complexPowerNorms(n, count) : realPowerNorms(n, count);
}

// n / (K (K+1)) [prod_{j<=K} (1 + j/n) - prod_{j<=K} (1 - j/n)], K = k + 1.
function complexPowerNorms(n, count) {
  const result = new Float64Array(count);
  let rising = 0; // log of the first product
  let theta = 0; // half the log of the ratio of both
  for (let k = 0; k < count; k++) {
    const j = k + 1;
    rising += Math.log1p(j / n);
    theta = j < n ? theta + Math.atanh(j / n) : Infinity;
    result[k] = rising + Math.log(-Math.expm1(-2 * theta)) + Math.log(n / j / (j + 1));
  }
  return result;
}

// The closed form of the real field; each of its sums by a recurrence in k, in units of D = n (n+2) ... (n+2k-2).
function realPowerNorms(n, count) {
  const result = new Float64Array(count);
  let rising = 0; // log(D / n^k)
  let falling = 1; // n (n-1) ... (n-k+1) / D
  let shifted = (n - 1) / n; // (n+k-2) (n+k-3) ... (n-1) / D
  let mixed = 0;
  let same = 0;
  let alternating = 0;
  let growth = 0; // log of (n+k-1) ... (n-1) / n ... (n-k)
  for (let k = 1; k < count; k++) {
    const even = k % 2 === 0;
    const top = (n + k - 1) * shifted;
    const bottom = (n - k) * falling;
    const plain = (growth < 1 ? bottom * Math.expm1(growth) : top - bottom) / (k + 1);
    const total =
      (2 * k + 1) * (n + 2 * k + 2) +
      2 * (2 * k + 2 - n) * mixed +
      2 * (2 * k + 2 * n - 1) * same -
      ((2 * k * k + 4 * k * n - k + 6 * n - 5) * (plain + alternating)) / 2 +
      (bottom * (6 * k * k + 17 * k + 13)) / (k + 2) +
      top * ((2 * (k - 1) * (2 * k + 3)) / (k + 2) + (even ? 2 * k + 1 : 0)) +
      (3 * (2 * k + 3) * n * (k + 1) * plain) / (k + 2);
    result[k] = rising + Math.log(total / n / ((2 * k + 1) * (2 * k + 3)));
    const step = n + 2 * k;
    const sign = even ? -1 : 1;
    rising += Math.log(step / n);
    growth = n - 1 - k > 0 ? growth + Math.log1p((2 * k + 1) / (n - 1 - k)) : Infinity;
    mixed = (2 * (n - 1) - bottom + (n - 2 * k - 2) * mixed) / step;
    falling *= (n - k) / step;
    shifted *= (n + k - 1) / step;
    same = ((2 * n + 2 * k - 1) * same + n - 1) / (2 * step) + (sign * shifted) / 2;
    alternating = (falling + sign * shifted - ((k + 1) * alternating) / step) / 2;
  }
  return result;
}

// log(E||h_t||^2 / n), t = 1, 2, ..., of h_t = gain W h_{t-1} + x_t with inputs x_t of covariance I.
function logGrowth(powers, gain) {
  const result = new Float64Array(powers.length);
  const step = 2 * Math.log(gain);
  let sum = -Infinity;
  for (let k = 0; k < powers.length; k++) {
    const term = powers[k] + k * step;
    sum = Math.max(sum, term) + Math.log1p(Math.exp(-Math.abs(sum - term)));
    result[k] = sum;
  }
  return result;
}

// The first step at which the growth exceeds EXPLOSION times t, or null.
function explosionStep(growth) {
  const index = growth.findIndex((value, k) => value > Math.log(EXPLOSION * (k + 1)));
  return index < 0 ? null : index + 1;
}

// The first step at which the root mean square of the entries of h_t exceeds the largest float32, or null.
function overflowStep(growth) {
  const index = growth.findIndex((value) => value > 2 * Math.log(LARGEST_FLOAT32));
  return index < 0 ? null : index + 1;
}

// log of the median of ||h_t||^2 / n, from the tables; null beyond them. `rule` is "glorot" or "mean".
function logMedian(n, field, rule, t) {
  if (t > lastMedianStep(n)) return null;
  const { widths, steps } = MEDIANS;
  const right = Math.max(1, widths.findIndex((width) => width >= n));
  const [low, high] = [right - 1, right].map((i) => {
    const scaled = t * Math.sqrt(widths[i] / n);
    return between(steps[i].map(Math.log), MEDIANS[field][rule][i], Math.log(scaled));
  });
  const part = Math.log(n / widths[right - 1]) / Math.log(widths[right] / widths[right - 1]);
  return Math.log(t) + low + (high - low) * part;
}

// The last step for which medians are tabulated; 0 where the width is beyond the tables.
function lastMedianStep(n) {
  const last = MEDIANS.widths.length - 1;
  if (n > MEDIANS.widths[last]) return 0;
  return Math.floor(Math.max(...MEDIANS.steps[last]) * Math.sqrt(n / MEDIANS.widths[last]) + 1e-9);
}

// Linear interpolation, constant beyond the ends.
function between(nodes, values, x) {
  const right = nodes.findIndex((node) => node >= x);
  if (right <= 0) return values[right === 0 ? 0 : values.length - 1];
  const part = (x - nodes[right - 1]) / (nodes[right] - nodes[right - 1]);
  return values[right - 1] + (values[right] - values[right - 1]) * part;
}
