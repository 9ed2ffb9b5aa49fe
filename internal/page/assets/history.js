// What the page has seen during the last minutes: rates and small curves.

const remembered = 180; // seconds
const gap = 10; // seconds without a look, after which a curve begins anew

// History is a row of looks at the same counters: {at: seconds, name: figure, …}.
class History {
  looks = [];

  add(look) {
    const last = this.looks.at(-1);
    if (last && last.at >= look.at) return; // the same snapshot once more
    this.looks.push(look);
    while (this.looks[0].at < look.at - remembered) this.looks.shift();
  }

  // rate is what a counter has grown a second between a look and the one before.
  rate(name, i = this.looks.length - 1) {
    const [from, to] = [this.looks[i - 1], this.looks[i]];
    if (!from || to.at - from.at > gap || to[name] < from[name]) return null;
    return (to[name] - from[name]) / (to.at - from.at);
  }

  rates(name) { return this.looks.map((look, i) => [look.at, this.rate(name, i)]); }

  figures(name) { return this.looks.map(look => [look.at, look[name]]); }

  // recent is what has been added to the counts of a histogram since the first look; without
  // any, all of them.
  recent(name) {
    const [first, last] = [this.looks[0][name], this.looks.at(-1)[name]];
    const grown = last.map((n, i) => n - first[i]);
    return grown.some(n => n < 0) || grown.every(n => n === 0) ? last : grown;
  }
}

// Histories are those of everything that the snapshot names.
class Histories {
  known = new Map();
  seen = new Set();

  of(key) {
    this.seen.add(key);
    if (!this.known.has(key)) this.known.set(key, new History());
    return this.known.get(key);
  }

  // forget drops what has not been asked for since the last time.
  forget() {
    for (const key of this.known.keys()) if (!this.seen.has(key)) this.known.delete(key);
    this.seen.clear();
  }
}

const graphic = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

// Curve draws figures of the last minutes; the newest is at the right edge.
class Curve {
  constructor(kind) {
    this.element = graphic("svg", { class: `curve ${kind}`, viewBox: `0 0 ${remembered} 20`, preserveAspectRatio: "none", "aria-hidden": "true" });
    this.area = this.element.appendChild(graphic("path", { class: "area" }));
    this.line = this.element.appendChild(graphic("path", { class: "line" }));
  }

  // draw takes pairs of time and figure; null breaks the curve. most is the upper edge, unless a figure is larger.
  draw(pairs, most = 0) {
    const end = pairs.length ? pairs.at(-1)[0] : 0;
    const top = Math.max(most, 1e-9, ...pairs.map(([, figure]) => figure));
    const runs = [[]];
    let before = null;
    for (const [at, figure] of pairs) {
      if (figure === null || before !== null && at - before > gap) runs.push([]);
      if (figure !== null) runs.at(-1).push([(remembered - (end - at)).toFixed(1), (19 - 18 * figure / top).toFixed(2)]);
      before = at;
    }
    const drawn = runs.filter(run => run.length > 1);
    this.line.setAttribute("d", drawn.map(run => "M" + run.map(p => p.join(" ")).join("L")).join(""));
    this.area.setAttribute("d", drawn.map(run => `M${run[0][0]} 20L${run.map(p => p.join(" ")).join("L")}L${run.at(-1)[0]} 20Z`).join(""));
  }
}
