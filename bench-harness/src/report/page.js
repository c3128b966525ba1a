"use strict";
// Shows the values under the pointer, or under a cursor that the arrow keys move. Everything else needs no script.
(() => {
  const element = (name, text) => {
    const made = document.createElement(name);
    made.textContent = text;
    return made;
  };
  for (const plot of document.querySelectorAll(".plot")) {
    const { series, readings } = JSON.parse(plot.querySelector("script").textContent);
    const tip = plot.querySelector(".tip");
    const cursor = plot.querySelector(".cursor");
    let shown = 0;

    // The chart that is visible at this width, and its plot's edges in pixels of the screen.
    const edges = () => {
      const svg = [...plot.querySelectorAll("svg")].find((each) => each.getBoundingClientRect().width > 0);
      const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
      const [left, right, top, bottom] = svg.dataset.plot.split(" ").map((at) => at * scale);
      return { left, right, top, bottom };
    };
    const hide = () => { tip.hidden = cursor.hidden = true; };
    const show = (index) => {
      if (readings.length === 0) return;
      shown = Math.max(0, Math.min(readings.length - 1, index));
      const [place, at, ...values] = readings[shown];
      const { left, right, top, bottom } = edges();
      const x = left + (right - left) * place;
      tip.replaceChildren(element("strong", at));
      series.forEach(([label, colour], n) => {
        if (values[n] === null) return;
        const row = element("div", "");
        const key = element("i", "");
        key.style.background = `var(--c${colour})`;
        row.append(key, element("span", label), element("b", values[n]));
        tip.append(row);
      });
      tip.hidden = cursor.hidden = false;
      Object.assign(cursor.style, { left: `${x}px`, top: `${top}px`, height: `${bottom - top}px` });
      const room = plot.clientWidth - tip.offsetWidth;
      const beside = x + 12 > room ? x - 12 - tip.offsetWidth : x + 12;
      Object.assign(tip.style, { left: `${Math.max(0, Math.min(room, beside))}px`, top: `${top + 8}px` });
    };
    const nearest = (place) => {
      let best = 0;
      readings.forEach((reading, n) => {
        if (Math.abs(reading[0] - place) < Math.abs(readings[best][0] - place)) best = n;
      });
      return best;
    };
    plot.addEventListener("pointermove", (event) => {
      const { left, right } = edges();
      show(nearest((event.clientX - plot.getBoundingClientRect().left - left) / (right - left)));
    });
    plot.addEventListener("pointerleave", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -readings.length, End: readings.length }[event.key];
      if (event.key === "Escape") hide();
      if (step === undefined) return;
      event.preventDefault();
      show(tip.hidden ? shown : shown + step);
    });
  }
  document.documentElement.dataset.ready = "yes";
})();
