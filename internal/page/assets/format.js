// Figures as text. Nothing here touches the document.

const nothing = "–";

const count = n => n.toLocaleString("en");

const plural = (n, one, many = one + "s") => `${count(n)} ${n === 1 ? one : many}`;

const sum = counters => Object.values(counters || {}).reduce((a, b) => a + b, 0);

// perSecond is a rate; null is one that nobody knows yet.
function perSecond(rate) {
  if (rate === null) return nothing;
  if (rate >= 100) return count(Math.round(rate));
  return rate > 0 && rate < 0.05 ? "<0.1" : rate.toFixed(1);
}

function bytes(n) {
  if (!n) return nothing;
  for (const unit of ["B", "KiB", "MiB"]) {
    if (n < 1000) return `${n < 10 && unit !== "B" ? n.toFixed(1) : Math.round(n)}${unit}`;
    n /= 1024;
  }
  return `${n.toFixed(1)}GiB`;
}

// duration is a time of seconds to days, in at most two units.
function duration(seconds) {
  const two = n => String(n).padStart(2, "0");
  const s = Math.max(0, seconds);
  if (s < 10) return `${s.toFixed(1)}s`;
  const whole = Math.floor(s);
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  if (whole < 86400) return `${Math.floor(whole / 3600)}h${two(Math.floor(whole / 60) % 60)}m`;
  return `${Math.floor(whole / 86400)}d${two(Math.floor(whole / 3600) % 24)}h`;
}

// latency is a time of milliseconds to seconds.
function latency(seconds) {
  if (seconds === null) return nothing;
  if (seconds === Infinity) return `>${bounds.at(-1)}s`;
  if (seconds < 0.01) return `${(seconds * 1000).toFixed(1)}ms`;
  if (seconds < 1) return `${Math.round(seconds * 1000)}ms`;
  return `${seconds.toFixed(1)}s`;
}

// bounds of the buckets of every histogram, in seconds; one more bucket has the rest.
const bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

// quantile is where in its bucket a share of all lies; null when there are none.
function quantile(counts, share) {
  const total = counts.reduce((a, b) => a + b, 0);
  if (!total) return null;
  let before = 0;
  for (let i = 0; i < bounds.length; i++) {
    if (counts[i] && before + counts[i] >= share * total) {
      const low = i ? bounds[i - 1] : 0;
      return low + (bounds[i] - low) * (share * total - before) / counts[i];
    }
    before += counts[i];
  }
  return Infinity;
}

// ago is the time from a moment of the snapshot to the snapshot.
const ago = (moment, now) => duration((now - Date.parse(moment)) / 1000);

// exit is how a process has ended.
function exit(e, now) {
  if (!e) return nothing;
  const how = e.signal || (e.status > 0 ? `status ${e.status}` : "");
  return `${e.reason}${how ? ` (${how})` : ""}, ${ago(e.at, now)} ago`;
}

// reasons are counters by their names, the largest first.
const reasons = counters => Object.entries(counters || {}).sort((a, b) => b[1] - a[1]).map(([name, n]) => `${n} ${name}`).join(", ");
