// The sections of the page, each filled from a snapshot.

const byID = id => document.getElementById(id);

const logsOf = s => [...s.logs || [], ...s.access_logs || []];

// problems are what is wrong, the worst first: {key, level, text, group}.
function problems(snapshot, groups, now) {
  const { router, dispatch_helper: helper, last_reload: reload } = snapshot;
  const found = [];
  const add = (level, key, text, group = "") => found.push({ level, key, text, group });
  if (router.state === "ready" && !router.answered) add("bad", "router", "the router does not answer");
  else if (router.state !== "ready") add(stateLevels[router.state] || "bad", "router", `the router is ${stateText(router.state, router.backoff_seconds)}`);
  if (router.stopped) add("bad", "router stopped", "a signal has stopped the router");
  if (helper && helper.stopped) add("bad", "helper stopped", "a signal has stopped the dispatch helper");
  if (helper && helper.state !== "ready") add(stateLevels[helper.state] || "bad", "helper", `the dispatch helper is ${stateText(helper.state, helper.backoff_seconds)}`);
  if (reload && reload.error) add("warn", "reload", `the last reload was refused, ${ago(reload.at, now)} ago`);
  for (const s of router.scripts || []) {
    if (s.load_error) add("bad", `script ${s.path}`, `${s.kind} ${s.path} cannot be loaded`);
    if (s.lost) add("warn", `lost ${s.path}`, `${plural(s.lost, "call")} of ${s.path} did not come back`);
  }
  for (const l of logsOf(snapshot)) {
    if (l.error) add("bad", `log ${l.destination}`, `the log ${l.destination} cannot be written`);
  }
  for (const g of groups) {
    const say = (level, what, text) => add(level, `${what} ${g.name}`, text, g.name);
    if (!g.embedded && ["bad", "warn", "off"].includes(stateLevels[g.state]) && g.state !== "idle") say(stateLevels[g.state], "state", stateText(g.state, g.backoff_seconds));
    if (g.queued) say("warn", "queue", `${plural(g.queued, "request")} waiting, the first for ${duration(g.longest_wait_seconds)}`);
    else if (g.threads && g.threads_busy >= g.threads) say("warn", "busy", `all ${g.threads} threads busy`);
    const old = g.running.filter(r => r.age >= oldAfter);
    if (old.length) say(ageLevel(old[0].age), "old", (old.length > 1 ? `${old.length} requests run for more than ${oldAfter}s, the oldest for ` : "a request runs for ") + duration(old[0].age));
    const stopped = (g.processes || []).filter(p => p.stopped).length;
    if (stopped) say("bad", "stopped", `a signal has stopped ${plural(stopped, "process", "processes")}`);
    if ((g.load_errors || []).length) say("bad", "load", `${plural(g.load_errors.length, "script")} cannot be imported`);
  }
  const order = ["bad", "warn", "busy", "off"];
  return found.sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
}

class Sections {
  histories = new Histories();
  groups = new Table("Process groups", groupColumns, { key: g => g.name, more: () => new GroupDetail() });
  requests = new Table("Requests that run", requestColumns, { key: requestKey });
  scripts = new Table("Scripts that the router evaluates", scriptColumns, { key: s => `${s.kind} ${s.path}` });
  draining = new Table("Generations whose requests still run", drainingColumns, { key: d => d.generation });
  curves = { rate: new Curve("rate"), busy: new Curve("busy") };

  constructor() {
    for (const name of ["groups", "requests", "scripts", "draining"]) byID(name).append(this[name].element);
    byID("rate").append(this.curves.rate.element);
    byID("busy").append(this.curves.busy.element);
    for (const id of ["of-group", "of-age", "of-text"]) byID(id).addEventListener("input", () => this.fillRequests());
  }

  fill(snapshot) {
    // The clock of wsgid, not that of the browser.
    const now = Date.parse(snapshot.started) + snapshot.uptime_seconds * 1000;
    if (this.pid !== snapshot.pid) this.histories = new Histories(); // counters begin anew
    this.pid = snapshot.pid;
    const groups = groupsOf(snapshot);
    for (const g of groups) addFigures(g, this.histories, now);
    const draining = (snapshot.draining || []).map(d => ({ name: `generation ${d.generation}`, processes: d.processes }));
    this.running = requestsOf([...groups, ...draining], now);
    this.fillTotals(snapshot, groups, now);
    this.fillProblems(problems(snapshot, groups, now));
    this.groups.update(groups);
    setHidden(byID("no-groups"), groups.length > 0);
    this.fillChoices(groups);
    this.fillRequests();
    this.fillRouter(snapshot, now);
    this.fillOthers(snapshot, now);
    this.histories.forget();
  }

  fillTotals(snapshot, groups, now) {
    const total = name => groups.reduce((a, g) => a + (g[name] || 0), 0);
    const { router } = snapshot;
    const all = this.histories.of("all");
    all.add({ at: now / 1000, requests: total("requests"), errors: total("errors"), busy: total("threads_busy") });
    const tell = (id, text, level = "") => {
      setText(byID(id), text);
      setLevel(byID(id), level);
    };
    const errors = all.rate("errors");
    tell("total-rate", perSecond(all.rate("requests")));
    tell("total-busy", `${count(total("threads_busy"))}/${count(total("threads"))}`);
    tell("total-queued", count(total("queued")), total("queued") ? "warn" : "");
    tell("total-errors", perSecond(errors), errors > 0 ? "bad" : "");
    tell("total-flight", router.answered ? count(router.in_flight) : nothing);
    tell("total-processes", `${count(total("processes_ready"))}/${count(total("processes_wanted"))}`, total("processes_ready") < total("processes_wanted") ? "warn" : "");
    tell("total-memory", bytes(total("rss_bytes") + router.rss_bytes));
    this.curves.rate.draw(all.rates("requests"));
    this.curves.busy.draw(all.figures("busy"), total("threads"));
    setText(byID("state"), snapshot.state);
    setLevel(byID("state"), stateLevels[snapshot.state] || "");
    setText(byID("about"), `${snapshot.version} · up ${duration(snapshot.uptime_seconds)} · generation ${snapshot.generation} · pid ${snapshot.pid}`);
  }

  fillProblems(found) {
    const list = byID("problems");
    setHidden(byID("no-problems"), found.length > 0);
    keep(list, found, p => p.key, p => {
      const mark = element("b");
      const text = element("span", { class: "foreign" });
      if (!p.group) return element("li", {}, mark, text);
      const button = element("button", { type: "button" }, mark, text);
      button.addEventListener("click", () => this.groups.show(p.group));
      return element("li", {}, button);
    }, (node, p) => {
      const [mark, text] = (p.group ? node.firstElementChild : node).children;
      setText(mark, p.group || "wsgid");
      setText(text, p.text);
      setLevel(node, p.level);
    });
    const wrong = found.filter(p => p.level === "bad" || p.level === "warn").length;
    document.title = wrong ? `(${wrong}) wsgid` : "wsgid";
  }

  fillChoices(groups) {
    const choice = byID("of-group");
    keep(choice, groups, g => g.name, g => element("option", { value: g.name }, g.name), () => {});
  }

  fillRequests() {
    const most = 200; // rows
    const group = byID("of-group").value;
    const age = Number(byID("of-age").value);
    const text = byID("of-text").value.toLowerCase();
    const all = this.running || [];
    const wanted = all.filter(r => (!group || r.group === group) && r.age >= age
      && (!text || [r.method, r.uri, r.client, r.application, r.id].join(" ").toLowerCase().includes(text)));
    this.requests.update(wanted.slice(0, most));
    setText(byID("how-many"), wanted.length > most ? `the oldest ${most} of ${wanted.length}` : wanted.length === all.length ? count(all.length) : `${wanted.length} of ${all.length}`);
    setHidden(this.requests.element, !wanted.length);
    setHidden(byID("no-requests"), wanted.length > 0);
  }

  fillRouter(snapshot, now) {
    const r = snapshot.router;
    const history = this.histories.of("router");
    if (r.answered) history.add({ at: now / 1000, requests: r.requests, errors: r.errors });
    const ofRouter = r.answered ? [
      ["Connections", count(r.connections)], ["In flight", count(r.in_flight)],
      ["Requests", `${count(r.requests)}, ${perSecond(history.rate("requests"))}/s`], ["Errors", count(r.errors)],
    ] : [["Answer", "none within a second", "bad"]];
    facts(byID("router"), [["State", processState(r), processLevel(r)], ...ofRouter, ["Spans", r.spans ? `${count(r.spans.exported)} sent, ${count(r.spans.dropped)} dropped` : ""], ...aboutProcess(r, now)]);
    this.scripts.update(r.scripts || []);
    setHidden(byID("scripts"), !(r.scripts || []).length);
    const h = snapshot.dispatch_helper;
    setHidden(byID("helper-section"), !h);
    if (h) facts(byID("helper"), [["State", processState(h), processLevel(h)], ["Calls", count(h.calls)], ...aboutProcess(h, now)]);
  }

  fillOthers(snapshot, now) {
    const reload = snapshot.last_reload;
    const outcome = !reload ? "none" : `${ago(reload.at, now)} ago${reload.groups ? `, ${reload.groups.join(", ")}` : ""}: `
      + (reload.error ? `refused: ${reload.error}` : [`done in ${duration(reload.seconds)}`, ...(reload.problems || [])].join("; but "));
    facts(byID("supervisor"), [
      ["State", snapshot.state, stateLevels[snapshot.state]], ["Version", snapshot.version], ["Process", String(snapshot.pid)],
      ["Up", duration(snapshot.uptime_seconds)], ["Generation", `${snapshot.generation}, loaded ${ago(snapshot.loaded, now)} ago`],
      ["Configuration", snapshot.config], ["Log lines lost", lostLines(snapshot), "warn"], ["Last reload", outcome, reload && reload.error ? "bad" : reload && reload.problems ? "warn" : ""],
    ]);
    const m = snapshot.monitor;
    setHidden(byID("monitor-section"), !m);
    if (m) facts(byID("monitor"), [["Address", m.address], ...aboutProcess(m, now)]);
    const draining = (snapshot.draining || []).map(d => ({ ...d, running: requestsOf([{ name: "", processes: d.processes }], now).length }));
    this.draining.update(draining);
    setHidden(byID("draining-section"), !draining.length);
  }
}

// lostLines says which logs lack how many lines.
const lostLines = s => logsOf(s).filter(l => l.lost).map(l => `${l.destination}: ${count(l.lost)}`).join(", ");

// aboutProcess are facts of every process that wsgid starts for itself.
const aboutProcess = (p, now) => [
  ["Process", p.pid ? String(p.pid) : "none", p.pid ? "" : "bad"], ["Up", p.started ? ago(p.started, now) : ""], ["User", p.user], ["Python", p.python],
  ["CPU", p.cpu_seconds ? duration(p.cpu_seconds) : ""], ["Memory", p.rss_bytes ? bytes(p.rss_bytes) : ""],
  ["Restarts", reasons(p.restarts)], ["Last exit", p.last_exit ? `${exit(p.last_exit, now)}${p.last_exit.error ? `: ${p.last_exit.error}` : ""}` : ""],
];

const scriptColumns = [
  { label: "Script", kind: "name foreign", text: s => s.path },
  { label: "Kind", text: s => s.kind },
  { label: "Calls", kind: "number", text: s => count(s.calls) },
  { label: "Running", kind: "number", text: s => count(s.running) },
  { label: "Lost", kind: "number", text: s => count(s.lost) },
  { label: "Failed", kind: "number", text: s => count(s.failed) },
  { label: "p50", kind: "number", text: s => latency(quantile(s.latency.counts, 0.5)) },
  { label: "p99", kind: "number", text: s => latency(quantile(s.latency.counts, 0.99)) },
  { label: "Cannot be loaded", kind: "whole foreign bad", text: s => s.load_error || nothing },
];

const drainingColumns = [
  { label: "Generation", kind: "name", text: d => String(d.generation) },
  { label: "Router", kind: "number", text: d => d.router_pid ? String(d.router_pid) : "ended" },
  { label: "Connections", kind: "number", text: d => count(d.connections) },
  { label: "Processes", kind: "number", text: d => count((d.processes || []).length) },
  { label: "Requests", kind: "number", text: d => count(d.running) },
];
