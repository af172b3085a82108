// The little that HTML and htmx do not do: jump keys, copy buttons, dismissing a message, the theme without a reload.
"use strict";
(() => {
  const jump = () => document.getElementById("jump");
  const found = () => document.getElementById("jump-found");
  const typing = (node) => node.closest("input, textarea, select, [contenteditable]");

  document.addEventListener("keydown", (event) => {
    const box = jump();
    if (!box) return;
    const slash = event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !typing(event.target);
    const k = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey);
    if (slash || k) {
      event.preventDefault();
      box.focus();
      box.select();
    } else if (event.key === "Escape" && box.closest(".jump").contains(event.target)) {
      found().replaceChildren();
      box.blur();
    } else if ((event.key === "ArrowDown" || event.key === "ArrowUp") && box.closest(".jump").contains(event.target)) {
      const stops = [box, ...found().querySelectorAll("a")];
      const next = stops.indexOf(event.target) + (event.key === "ArrowDown" ? 1 : -1);
      if (stops[next]) {
        event.preventDefault();
        stops[next].focus();
      }
    }
  });

  document.addEventListener("focusin", (event) => {
    if (found() && !jump().closest(".jump").contains(event.target)) found().replaceChildren();
  });

  document.addEventListener("click", async (event) => {
    const dismiss = event.target.closest("[data-dismiss]");
    if (dismiss) dismiss.closest(".note").remove();
    const copy = event.target.closest("[data-copy]");
    if (copy) {
      await navigator.clipboard.writeText(document.getElementById(copy.dataset.copy).textContent);
      copy.querySelector("span").textContent = "Copied";
    }
    const theme = event.target.closest(".themes button");
    if (theme) {
      event.preventDefault();
      const secure = location.protocol === "https:" ? "; Secure" : "";
      document.cookie = `gatehouse_theme=${theme.value}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
      if (theme.value === "system") document.documentElement.removeAttribute("data-bs-theme");
      else document.documentElement.dataset.bsTheme = theme.value;
      for (const other of theme.parentElement.querySelectorAll("button")) {
        other.setAttribute("aria-pressed", String(other === theme));
      }
    }
    const found_box = found();
    if (found_box && !event.target.closest(".jump")) found_box.replaceChildren();
  });

  // Buttons that copy are of use only with scripts, and where the browser lets a page write to the clipboard.
  const offerCopy = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll?.("[data-copy]") ?? []) button.hidden = false;
  };
  offerCopy(document);
  document.querySelector(".has-error :is(input, select, textarea)")?.focus();
  document.addEventListener("htmx:afterSwap", (event) => offerCopy(event.target));
  // A second submit of the same form is one too many.
  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || event.target.method !== "post") return;
    if (event.submitter?.hasAttribute("data-again")) return; // a download leaves the page where it is
    setTimeout(() => event.target.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
  });
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload();
  });
})();
