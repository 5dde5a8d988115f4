// SPDX-License-Identifier: Apache-2.0
// Binds the keys that the help dialog of the page lists, and nothing else. Every key moves the focus, follows a link
// or presses a button that is there without it.
"use strict";

(() => {
  const dialog = document.getElementById("keys");
  const OFF = "countersign-keys-off";
  const WAIT = 1500; // milliseconds between two keys of one binding

  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const place = () => document.activeElement;
  const inside = (selector) => place()?.closest(selector) ?? null;

  const show = (element) => {
    if (!element) {
      return;
    }
    if (element.tabIndex < 0) {
      element.tabIndex = -1;
    }
    element.closest("details:not([open])")?.setAttribute("open", "");
    element.focus({ preventScroll: true });
    element.scrollIntoView({ block: "nearest" });
  };

  const FILE = "section.file";
  const isBelow = (element) => element.getBoundingClientRect().bottom > 0;

  // The element after the one in focus, or the first that can be seen; backwards the one before. Of a long page only
  // the file at its top is measured, so that the browser lays out no more than it shows.
  const step = (elements, selector, by) => {
    const at = elements.indexOf(inside(selector));
    if (at >= 0) {
      return elements[at + by];
    }
    const file = all(FILE).find(isBelow);
    const first = file ? elements.findIndex((element) => file.contains(element)) : 0;
    const below = elements.slice(Math.max(first, 0)).find(isBelow);
    return by > 0 ? below : elements[elements.indexOf(below) - 1];
  };

  const ROWS = ".diff tbody tr:has(td > a)";
  const lineLink = (row) => {
    const links = row?.querySelectorAll("td > a") ?? [];
    return links[links.length - 1];
  };
  const rows = () => all(ROWS).filter((row) => !row.closest("details:not([open])"));
  const isChange = (row) => row.matches(".plus, .minus");
  const begins = (row) => isChange(row) && !row.previousElementSibling?.matches(".plus, .minus");
  const chunks = () => rows().filter(begins);

  const chunk = (by) => {
    const found = chunks();
    const here = inside(ROWS);
    if (!here) {
      return show(lineLink(step(found, ROWS, by)));
    }
    const follows = (row) => here.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING;
    const next = by > 0 ? found.find(follows) : found.filter((row) => row !== here && !follows(row)).pop();
    return show(lineLink(next));
  };

  const LISTED = ".change, article.thread, article.finding";
  const move = (by) => {
    const lines = document.querySelector(ROWS) ? rows() : [];
    if (lines.length > 0) {
      return show(lineLink(step(lines, ROWS, by)));
    }
    const next = step(all(LISTED), LISTED, by);
    return show(next?.querySelector(".what > a") ?? next);
  };

  const file = (by) => {
    const files = all(FILE);
    const here = inside(FILE);
    const next = here ? files[files.indexOf(here) + by] : step(files, FILE, by);
    show(next);
    next?.scrollIntoView({ block: "start" });
  };
  const currentFile = () => inside(FILE) ?? document.querySelector("section.file:target") ?? document.querySelector(FILE);

  const mark = (stay) => {
    const form = currentFile()?.querySelector("form.viewed");
    const back = form?.elements.namedItem("viewed").value === "false";
    if (!form || (back && !stay)) {
      return;
    }
    form.elements.namedItem("stay").value = stay ? "true" : "false";
    form.requestSubmit();
  };

  const comment = () => {
    const link = currentFile()?.querySelector("a.speak");
    if (!link) {
      return;
    }
    const to = new URL(link.href);
    const line = /([LR])([0-9]+)$/.exec(inside(ROWS) ? (place().getAttribute("href") ?? "") : "");
    if (line) {
      to.searchParams.set("side", line[1] === "R" ? "head" : "base");
      to.searchParams.set("line", line[2]);
    }
    location.assign(to.href);
  };

  const answer = () => {
    const thread =
      inside("article.thread") ?? document.querySelector("article.thread:target") ?? document.querySelector("article.thread");
    const reply = thread?.querySelector("details.reply");
    const field = reply?.querySelector("textarea") ?? thread?.querySelector("textarea");
    reply?.setAttribute("open", "");
    field?.focus();
  };

  const go = (name) => document.querySelector(`[data-go="${name}"]`)?.click();

  const up = () => {
    const overview = document.querySelector('[data-go="overview"]');
    if (overview && !overview.hasAttribute("aria-current")) {
      overview.click();
    } else {
      go("queue");
    }
  };

  const does = {
    help: () => (dialog.open ? dialog.close() : dialog.showModal()),
    up,
    save: () => {
      const form = place()?.form;
      if (form?.method === "post") {
        form.requestSubmit(form.querySelector("button"));
      }
    },
    next: () => move(1),
    previous: () => move(-1),
    "next-chunk": () => chunk(1),
    "previous-chunk": () => chunk(-1),
    "next-file": () => file(1),
    "previous-file": () => file(-1),
    viewed: () => mark(true),
    "viewed-next": () => mark(false),
    comment,
    "next-thread": () => show(step(all("article.thread"), "article.thread", 1)),
    "previous-thread": () => show(step(all("article.thread"), "article.thread", -1)),
    answer,
  };

  const bound = new Map(all("#keys [data-keys]").map((row) => [row.dataset.keys, row.dataset.does]));
  const starts = new Set(Array.from(bound.keys(), (keys) => keys.split(" ")[0]).filter((key) => !bound.has(key)));
  let before = "";
  let pressedAt = 0;

  const off = document.getElementById("keys-off");
  try {
    off.checked = localStorage.getItem(OFF) === "1";
    off.addEventListener("change", () => localStorage.setItem(OFF, off.checked ? "1" : "0"));
  } catch {
    // Without storage the choice holds for this page.
  }

  const run = (event, name) => {
    event.preventDefault();
    if (name.startsWith("go ")) {
      go(name.slice(3));
    } else {
      does[name]();
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey || event.metaKey) {
      return;
    }
    if (event.ctrlKey) {
      if (event.key === "Enter" && bound.has("Ctrl+Enter")) {
        run(event, bound.get("Ctrl+Enter"));
      }
      return;
    }
    const typing = event.target.matches?.("input:not([type=checkbox], [type=radio]), textarea, select");
    if (typing || off.checked || (dialog.open && event.key !== "?")) {
      return;
    }
    const keys = before && event.timeStamp - pressedAt < WAIT ? `${before} ${event.key}` : event.key;
    before = "";
    if (bound.has(keys)) {
      run(event, bound.get(keys));
    } else if (starts.has(event.key)) {
      before = event.key;
      pressedAt = event.timeStamp;
    }
  });

  for (const button of all("button[data-keys-help]")) {
    button.addEventListener("click", () => does.help());
    button.hidden = false;
  }
})();
