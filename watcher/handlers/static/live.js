// Keeps a page current. Every ten seconds (or data-seconds of the script), while it is looked at, it
// is fetched again, and its parts of the class "live" take the places of the old ones, with the title
// and the icon. What is typed between them stays. A part with data-final changes no more.
"use strict";
const SECONDS = Number(document.currentScript.dataset.seconds || 10);

// Who goes by keys stays at the same link or button, and at none where it is gone.
const reached = (part) => [...part.querySelectorAll("a, button, input, summary, [tabindex]")];
const named = (each) => [each.tagName, each.href, each.form && each.form.action, each.name, each.textContent].join();

async function refresh() {
  if (document.hidden || document.querySelector(".live[data-final]")) return;
  const stale = document.getElementById("stale");
  try {
    const answer = await fetch(location.href, {cache: "no-store", redirect: "error"});
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = [...page.querySelectorAll(".live")];
    if (fresh.length === 0) return location.reload(); // signed out meanwhile
    const focused = document.activeElement;
    [...document.querySelectorAll(".live")].forEach((old, n) => {
      const had = old.contains(focused);
      old.replaceWith(fresh[n]);
      if (had) reached(fresh[n]).find((each) => named(each) === named(focused))?.focus({preventScroll: true});
    });
    document.title = page.title;
    document.getElementById("icon").href = page.getElementById("icon").href;
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
}

setInterval(refresh, SECONDS * 1000);
document.addEventListener("visibilitychange", refresh);
