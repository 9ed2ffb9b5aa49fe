// Looking: one question at a time, none while nobody sees the page.

const interval = 2000; // milliseconds from one question to the next
const patience = 10000; // for an answer; the monitor itself gives up after three seconds

class Live {
  sections = new Sections();
  asking = false;
  timer = null;
  trouble = "";
  current = null; // performance.now() when what is shown was true

  start() {
    document.addEventListener("visibilitychange", () => this.watched());
    setInterval(() => this.tellAge(), 1000);
    this.watched();
  }

  watched() {
    clearTimeout(this.timer);
    if (!document.hidden) this.look();
  }

  async look() {
    if (this.asking) return;
    this.asking = true;
    const began = performance.now();
    this.trouble = await this.ask();
    this.asking = false;
    this.tell();
    clearTimeout(this.timer);
    if (!document.hidden) this.timer = setTimeout(() => this.look(), Math.max(0, began + interval - performance.now()));
  }

  // ask shows what /status says, and gives what is wrong with it.
  async ask() {
    let response, snapshot;
    try {
      response = await fetch("status", { cache: "no-store", signal: AbortSignal.timeout(patience) });
      if (!response.ok) return response.status === 503 ? "the supervisor does not answer" : `the answer is status ${response.status}`;
      snapshot = await response.json();
    } catch (error) {
      return error instanceof SyntaxError ? "the answer is not what it should be" : "wsgid cannot be reached";
    }
    const age = Number(response.headers.get("Age") || 0);
    this.current = performance.now() - age * 1000;
    try {
      this.sections.fill(snapshot);
    } catch (error) {
      console.error(error);
      return `the page cannot show this: ${error.message}`;
    }
    return response.headers.get("X-WSGID-Stale") || (age > 5 ? "the answer comes from a cache" : "");
  }

  tell() {
    setAttribute(document.body, "class", this.trouble ? "stale" : this.current === null ? "empty" : "");
    setText(byID("trouble"), this.trouble ? this.trouble[0].toUpperCase() + this.trouble.slice(1) : "");
    setText(byID("live"), this.trouble ? "" : "live");
    setLevel(byID("connection"), this.trouble ? "bad" : "good");
    this.tellAge();
  }

  tellAge() {
    setText(byID("age"), !this.trouble ? "" : this.current === null ? "nothing is known yet"
      : `what is shown is ${duration(Math.round((performance.now() - this.current) / 1000)).replace(".0", "")} old`);
    if (this.trouble) document.title = "(!) wsgid";
  }
}

new Live().start();
