// Process groups: the table of them, and what a group shows when it is opened.

// oldAfter and veryOldAfter, in seconds, are when a request that runs is worth a colour.
const oldAfter = 10;
const veryOldAfter = 60;

const ageLevel = seconds => seconds >= veryOldAfter ? "bad" : seconds >= oldAfter ? "warn" : "";

const stateLevels = {
  ready: "good", idle: "off", starting: "busy", degraded: "warn", backoff: "bad", failed: "bad", gone: "bad",
  draining: "busy", stopping: "busy", "in maintenance": "off", drained: "off", stopped: "off",
};

const stateText = (state, backoff) => backoff > 0 ? `${state} ${Math.ceil(backoff)}s` : state;

// processState is that of a process, which a signal may have stopped besides.
const processState = p => stateText(p.state, p.backoff_seconds) + (p.stopped ? ", stopped" : "");

const processLevel = p => p.stopped ? "bad" : stateLevels[p.state] || "";

function setState(cell, text, level) {
  const mark = part(cell, c => c.appendChild(element("span", { class: "state" })));
  setText(mark, text);
  setLevel(mark, level);
}

function setGroupState(cell, g) {
  const broken = (g.load_errors || []).length;
  setState(cell, stateText(g.state, g.backoff_seconds) + (broken ? `, ${broken} broken` : ""), broken ? "bad" : stateLevels[g.state] || "");
}

// setAge shows how long a request has been running; 0 is none.
function setAge(cell, seconds) {
  setText(cell, seconds ? duration(seconds) : nothing);
  setLevel(cell, ageLevel(seconds));
}

// setBar shows busy of all, and where there is a history, that too.
function setBar(cell, busy, all, text, history = null) {
  const bar = part(cell, c => {
    const made = { fill: element("i"), label: element("span"), curve: history && new Curve("busy") };
    c.append(element("span", { class: "bar", "aria-hidden": "true" }, made.fill), made.label);
    if (history) c.append(made.curve.element);
    return made;
  });
  const share = all ? Math.min(1, busy / all) : 0;
  bar.fill.style.width = `${(share * 100).toFixed(1)}%`;
  setLevel(bar.fill, all && busy >= all ? "warn" : "");
  setText(bar.label, text);
  if (history) bar.curve.draw(history.figures("busy"), all);
}

function setCurve(cell, text, pairs) {
  const shown = part(cell, c => {
    const curve = new Curve("rate");
    const label = element("span");
    c.append(curve.element, label);
    return { curve, label };
  });
  setText(shown.label, text);
  shown.curve.draw(pairs);
}

// groupsOf are the groups of a snapshot as the page shows them, the applications in the
// router as one more.
function groupsOf(snapshot) {
  const { router } = snapshot;
  const groups = snapshot.groups || [];
  if (!router.embedded) return groups;
  return [...groups, { ...router.embedded, name: "%{GLOBAL}", embedded: true, state: router.state, user: router.user, processes: [], load_errors: router.load_errors }];
}

// requestsOf are the requests that run in groups, the oldest first.
function requestsOf(groups, now) {
  const all = groups.flatMap(g => (g.processes || []).flatMap(p => (p.running || []).map(r =>
    ({ ...r, group: g.name, pid: p.pid, stopped: p.stopped, age: (now - Date.parse(r.started)) / 1000 }))));
  return all.sort((a, b) => b.age - a.age);
}

// Figures of a group that do not stand in the snapshot.
function addFigures(g, histories, now) {
  const at = now / 1000;
  g.now = now;
  g.history = histories.of(`group ${g.name}`);
  g.history.add({ at, requests: g.requests, errors: g.errors || 0, busy: g.threads_busy, latency: g.latency ? g.latency.counts : [] });
  g.perSecond = g.history.rate("requests");
  g.errorsPerSecond = g.embedded ? null : g.history.rate("errors");
  const counts = g.history.recent("latency");
  g.quantiles = [0.5, 0.95, 0.99].map(share => quantile(counts, share));
  g.running = requestsOf([g], now);
  g.oldest = g.running.length ? g.running[0].age : 0;
  for (const p of g.processes || []) {
    p.now = now;
    p.history = histories.of(`process ${p.pid}`);
    p.history.add({ at, requests: p.requests, errors: p.errors, cpu: p.cpu_seconds });
    p.oldest = Math.max(0, ...requestsOf([{ processes: [p] }], now).map(r => r.age));
  }
}

// ordered makes what is not known smaller than everything.
const ordered = value => value === null ? -1 : value;

const quantileColumn = (label, i) => ({
  label, kind: "number", title: "of the requests that have ended in the last minutes, else of all; estimated from a histogram",
  value: g => ordered(g.quantiles[i]), text: g => latency(g.quantiles[i]),
});

const groupColumns = [
  { label: "Group", kind: "name", text: g => g.name, value: g => g.name },
  { label: "State", kind: "wide", value: g => g.state, fill: setGroupState },
  { label: "Processes", kind: "number", title: "ready / wanted", value: g => g.processes_ready ?? -1, text: g => g.embedded ? nothing : `${g.processes_ready}/${g.processes_wanted}` },
  { label: "Threads busy", kind: "bars", title: "busy / all of the processes that are ready, and the last minutes", value: g => g.threads ? g.threads_busy / g.threads : -1,
    fill: (cell, g) => setBar(cell, g.threads_busy, g.threads, g.service ? "service" : `${g.threads_busy}/${g.threads}`, g.history) },
  { label: "Oldest", kind: "number", title: "request that runs", value: g => g.oldest, fill: (cell, g) => setAge(cell, g.oldest) },
  { label: "Queue", kind: "number", title: "requests that wait for a thread / how many may, and how long the first has waited", value: g => g.queued,
    fill: (cell, g) => {
      setText(cell, g.service ? nothing : g.queued ? `${g.queued}/${g.queue_length}, ${duration(g.longest_wait_seconds)}` : `0/${g.queue_length}`);
      setLevel(cell, g.queued ? "warn" : "");
    } },
  { label: "Requests/s", kind: "curves", value: g => ordered(g.perSecond), fill: (cell, g) => setCurve(cell, perSecond(g.perSecond), g.history.rates("requests")) },
  { label: "Errors/s", kind: "number", title: "exceptions and answers of 500 and more", value: g => ordered(g.errorsPerSecond),
    fill: (cell, g) => {
      setText(cell, perSecond(g.errorsPerSecond));
      setLevel(cell, g.errorsPerSecond > 0 ? "bad" : "");
    } },
  quantileColumn("p50", 0), quantileColumn("p95", 1), quantileColumn("p99", 2),
  { label: "503/504", kind: "number", title: "rejected: queue full or no process / waited too long; since the router started",
    value: g => g.rejected + g.queue_timeouts, text: g => `${count(g.rejected)}/${count(g.queue_timeouts)}` },
  { label: "Memory", kind: "number", value: g => g.rss_bytes || 0, text: g => bytes(g.rss_bytes) },
  { label: "Restarts", kind: "wide foreign", title: "processes that ended and were replaced, and the last end", value: g => sum(g.restarts),
    text: g => g.embedded ? nothing : g.last_exit ? `${count(sum(g.restarts))}: ${exit(g.last_exit, g.now)}` : count(sum(g.restarts)) },
];

const processColumns = [
  { label: "Process", kind: "name", text: p => String(p.pid), value: p => p.pid },
  { label: "State", fill: (cell, p) => setState(cell, processState(p), processLevel(p)) },
  { label: "Threads", kind: "bars", value: p => p.threads_busy, fill: (cell, p) => setBar(cell, p.threads_busy, p.threads, `${p.threads_busy}/${p.threads}`) },
  { label: "CPU", kind: "number", value: p => ordered(p.history.rate("cpu")), text: p => p.history.rate("cpu") === null ? nothing : `${(100 * p.history.rate("cpu")).toFixed(0)}%` },
  { label: "Memory", kind: "number", value: p => p.rss_bytes, text: p => bytes(p.rss_bytes) },
  { label: "Requests", kind: "number", value: p => p.requests, text: p => count(p.requests) },
  { label: "Requests/s", kind: "number", value: p => ordered(p.history.rate("requests")), text: p => perSecond(p.history.rate("requests")) },
  { label: "Errors", kind: "number", value: p => p.errors, text: p => count(p.errors) },
  { label: "Oldest", kind: "number", title: "request that runs", value: p => p.oldest,
    fill: (cell, p) => setAge(cell, p.oldest) },
  { label: "Up", kind: "number", value: p => -Date.parse(p.started), text: p => ago(p.started, p.now) },
  { label: "Python", text: p => p.python || nothing },
  { label: "Replaced", kind: "wide foreign", title: "how the process ended whose place it took", text: p => exit(p.last_exit, p.now) },
];

const requestColumns = [
  { label: "For", kind: "number age", value: r => r.age,
    fill: (cell, r) => setAge(cell, r.age) },
  { label: "Request", kind: "whole foreign", value: r => r.uri || "", text: r => `${r.method || nothing} ${r.uri || ""}` },
  { label: "Group", kind: "foreign", value: r => r.group, text: r => r.group },
  { label: "Process", kind: "number", value: r => r.pid, text: r => String(r.pid) },
  { label: "State", value: r => r.state, text: processState },
  { label: "Application", kind: "foreign", value: r => r.application, text: r => r.application || "%{GLOBAL}" },
  { label: "Client", kind: "foreign", value: r => r.client || "", text: r => r.client || nothing },
  { label: "Id", kind: "foreign", text: r => r.id || nothing },
];

const requestKey = r => `${r.pid} ${r.thread} ${r.started}`;

function cgroupText(c) {
  if (!c) return "";
  const of = (used, limit) => limit ? `${used} of ${limit}` : "";
  return [of(bytes(c.memory_bytes), c.memory_max && bytes(c.memory_max)), of(c.pids, c.pids_max && `${c.pids_max} tasks`),
    c.cpu_max ? `${c.cpu_max} processors` : "", c.throttled_seconds ? `throttled for ${duration(c.throttled_seconds)}` : "",
    c.oom_kills ? plural(c.oom_kills, "kill for want of memory", "kills for want of memory") : ""].filter(Boolean).join(", ");
}

// GroupDetail is what an opened group shows.
class GroupDetail {
  constructor() {
    this.facts = element("dl", { class: "facts" });
    this.errors = element("div", { class: "errors" });
    this.processes = new Table("Processes of the group", processColumns, { key: p => p.pid });
    this.requests = new Table("Requests that run in the group", requestColumns.filter(c => c.label !== "Group"), { key: requestKey });
    this.title = element("h3", {}, "Requests that run");
    this.element = element("div", { class: "detail" }, this.facts, this.errors, this.processes.element, this.title, this.requests.element);
  }

  fill(g) {
    const processes = g.processes || [];
    facts(this.facts, [
      ["User", g.user],
      ["Scaling", g.scaling && `${g.scaling}, ${g.processes_least} to ${g.processes_most}`],
      ["Closed", g.closed_since ? `for ${ago(g.closed_since, g.now)}` : ""],
      ["Requests", count(g.requests) + (g.embedded ? "" : `, ${plural(g.errors, "error")}, ${count(g.refused)} refused`)],
      ["Had to wait", count(g.queued_total) + (sum(g.waits.counts) ? `, 95 % at most ${latency(quantile(g.waits.counts, 0.95))}` : "")],
      ["Restarts", reasons(g.restarts)],
      ["Last exit", g.last_exit ? `${exit(g.last_exit, g.now)}${g.last_exit.error ? `: ${g.last_exit.error}` : ""}` : ""],
      ["Limits", cgroupText(g.cgroup)],
      ["Log lines lost", g.log_dropped ? count(g.log_dropped) : "", "warn"],
    ]);
    loadErrors(this.errors, g.load_errors || [], g.now);
    this.processes.update(processes);
    setHidden(this.processes.element, !processes.length);
    this.requests.update(g.running);
    setHidden(this.requests.element, !g.running.length);
    setHidden(this.title, !g.running.length);
  }
}
