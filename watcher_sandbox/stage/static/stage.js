// Keeps the two days and the list of edits current: once a second, while it is looked at, the page is
// fetched again, and its parts of the class "live" take the places of the old ones. What is typed
// stays; of the list of events only one that has changed is replaced.
"use strict";

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch(location.href, {cache: "no-store"});
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = [...page.querySelectorAll(".live")];
    document.querySelectorAll(".live").forEach((old, n) => {
      if (old.innerHTML !== fresh[n].innerHTML) old.replaceWith(fresh[n]);
    });
    const events = document.getElementById("event");
    const now = page.getElementById("event");
    if (events.innerHTML !== now.innerHTML && document.activeElement !== events) {
      const chosen = events.value;
      events.replaceWith(now);
      if ([...now.options].some((option) => option.value === chosen)) now.value = chosen;
    }
  } catch {
    // The demo has ended: what was seen last stays.
  }
}

setInterval(refresh, 1000);
document.querySelectorAll(".choose select").forEach((each) => {
  each.addEventListener("change", () => each.form.submit());
});
