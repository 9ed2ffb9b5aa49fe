// Tables that are sorted by a click on a column, and whose rows may have more to show.

// Table has columns {label, title, kind, text: row => …, value: row => …, fill: (cell, row) => …}:
// value sorts, fill is for what is more than a text. The first column is the name of the row.
// more makes what a row shows when it is opened: {element, fill(row)}.
class Table {
  constructor(caption, columns, { key, more = null }) {
    this.columns = columns;
    this.key = key;
    this.more = more;
    this.rows = [];
    this.sorted = null; // column, once one is chosen
    this.descending = true;
    this.head = element("tr");
    for (const column of columns) this.head.append(this.header(column));
    this.element = element("table", {}, element("caption", { class: "unseen" }, caption), element("thead", {}, this.head));
  }

  header(column) {
    const cell = element("th", { scope: "col", class: column.kind || "" });
    if (column.title) cell.title = column.title;
    if (!column.value) {
      cell.append(column.label);
      return cell;
    }
    const button = element("button", { type: "button" }, column.label);
    button.addEventListener("click", () => {
      this.descending = this.sorted === column ? !this.descending : column.kind === "number";
      this.sorted = column;
      for (const other of this.head.children) setAttribute(other, "aria-sort", "");
      cell.setAttribute("aria-sort", this.descending ? "descending" : "ascending");
      this.draw();
    });
    cell.append(button);
    return cell;
  }

  update(rows) {
    this.rows = rows;
    this.draw();
  }

  draw() {
    let rows = this.rows;
    if (this.sorted) {
      const { value } = this.sorted;
      const order = (a, b) => value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0;
      rows = [...rows].sort((a, b) => this.descending ? order(b, a) : order(a, b));
    }
    keep(this.element, rows, this.key, row => this.make(row), (body, row) => this.fill(body, row));
  }

  make(row) {
    const line = element("tr");
    const body = element("tbody", {}, line);
    this.columns.forEach((column, i) => {
      line.append(i ? element("td", { class: column.kind || "", "data-label": column.label }) : element("th", { scope: "row", class: column.kind || "" }));
    });
    if (this.more) this.addMore(body, line.firstElementChild, row);
    return body;
  }

  addMore(body, cell, row) {
    const id = `more-${Table.count++}`;
    const button = element("button", { type: "button", class: "opener", "aria-expanded": "false", "aria-controls": id }, this.columns[0].text(row));
    const place = element("td", { colspan: String(this.columns.length) });
    const line = element("tr", { id, class: "more", hidden: "" }, place);
    body.append(line);
    cell.append(button);
    body.open = () => {
      body.shown ||= this.more(row);
      if (!place.firstChild) place.append(body.shown.element);
      line.hidden = !line.hidden;
      button.setAttribute("aria-expanded", String(!line.hidden));
      this.draw();
    };
    button.addEventListener("click", body.open);
  }

  fill(body, row) {
    const [line, more] = body.children;
    this.columns.forEach((column, i) => {
      if (column.fill) column.fill(line.children[i], row);
      else if (i || !this.more) setText(line.children[i], column.text(row));
    });
    if (more && !more.hidden) body.shown.fill(row);
  }

  // show opens a row and brings it into view.
  show(name) {
    const body = kept.get(this.element).nodes.get(name);
    if (!body) return;
    if (body.children[1].hidden) body.open();
    body.querySelector("button").focus();
    body.scrollIntoView({ block: "nearest" });
  }

  static count = 0;
}

// part gives a cell what it shows besides text, made once.
function part(cell, make) {
  cell.made ||= make(cell);
  return cell.made;
}
