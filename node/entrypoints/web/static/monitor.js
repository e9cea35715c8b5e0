// Swaps the page's main part for a fresh one; place, focus and opened parts stay as they were.
"use strict";
(() => {
  const main = document.getElementById("main");
  const status = document.getElementById("refresh-status");
  const seconds = Number(document.body.dataset.refreshSeconds);

  const remember = () => ({
    focus: document.activeElement && document.activeElement.id,
    open: [...main.querySelectorAll("details[open]")].map((one) => one.id),
    left: new Map([...main.querySelectorAll(".scroll")].map((one) => [one.id, one.scrollLeft])),
  });

  const restore = (before) => {
    for (const one of main.querySelectorAll("details")) one.open = before.open.includes(one.id);
    for (const one of main.querySelectorAll(".scroll")) one.scrollLeft = before.left.get(one.id) || 0;
    const focused = before.focus && document.getElementById(before.focus);
    if (focused && focused !== document.activeElement) focused.focus({ preventScroll: true });
  };

  const refresh = async () => {
    try {
      const answer = await fetch("/monitor", { cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const before = remember();
      const top = window.scrollY;
      main.replaceChildren(...fresh.getElementById("main").childNodes);
      restore(before);
      window.scrollTo(0, top);
      status.hidden = true;
    } catch {
      status.hidden = false;
    }
    window.setTimeout(refresh, seconds * 1000);
  };

  window.setTimeout(refresh, seconds * 1000);
})();
