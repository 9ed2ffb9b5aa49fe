// How the document is changed: text as text, and nothing that has not changed, so that
// focus, selection and scrolling stay.

// element makes one. Children that are texts become text, never markup.
function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (value === "") node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

// setLevel says how bad it is: "", good, busy, warn, bad or off.
const setLevel = (node, level) => setAttribute(node, "data-level", level);

function setHidden(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

const kept = new WeakMap();

// keep gives parent, after the nodes that it had first, a node for each item, in their order. A node is
// made once and found again by its key.
function keep(parent, items, key, make, fill) {
  if (!kept.has(parent)) kept.set(parent, { first: parent.lastElementChild, nodes: new Map() });
  const { first, nodes } = kept.get(parent);
  const gone = new Set(nodes.keys());
  const focused = document.activeElement;
  let last = first;
  for (const item of items) {
    const name = String(key(item));
    if (!nodes.has(name)) nodes.set(name, make(item));
    gone.delete(name);
    const node = nodes.get(name);
    const here = last ? last.nextElementSibling : parent.firstElementChild;
    if (here !== node) parent.insertBefore(node, here);
    fill(node, item);
    last = node;
  }
  for (const name of gone) {
    nodes.get(name).remove();
    nodes.delete(name);
  }
  // What is moved loses the focus.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

// facts fills a list of names and values: [name, text, level].
function facts(list, items) {
  keep(list, items.filter(([, text]) => text !== "" && text !== undefined), ([name]) => name,
    ([name]) => element("div", {}, element("dt", {}, name), element("dd")),
    (node, [, text, level]) => {
      setText(node.lastElementChild, text);
      setLevel(node.lastElementChild, level || "");
    });
}

// loadErrors fills a list of scripts that cannot be imported.
function loadErrors(list, errors, now) {
  keep(list, errors, e => JSON.stringify([e.script, e.application]),
    () => element("details", {}, element("summary", {}, element("strong"), element("span")), element("pre", { tabindex: "0" })),
    (node, e) => {
      const [summary, trace] = node.children;
      setText(summary.children[0], e.error);
      setText(summary.children[1], `${e.script}, application ${e.application || "%{GLOBAL}"}, tried ${ago(e.at, now)} ago by ${e.pid}; `
        + (e.old_code_serves ? "the old code serves" : "requests are answered with 500"));
      setText(trace, e.traceback || e.error);
    });
}
