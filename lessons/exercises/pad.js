// A pad to draw on, for a notebook or a page: mouse, touch or pen, and Ctrl+Z; no network, nothing but this file.
// pad.py shows it. `use` is handed the drawing as a PNG data URL when the student is content with it.

export function pad(el, { side, ground, palette, use }) {
  const make = (tag, props = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), props);
    node.append(...children);
    return node;
  };
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab would take Ctrl+Z before we see it
  const canvas = make("canvas", { width: side, height: side, tabIndex: 0 });
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "Your drawing. Draw with the mouse or a finger; Ctrl+Z takes a stroke back.");
  canvas.style.cssText = "border: 1px solid #888; touch-action: none; cursor: crosshair; display: block";
  const context = canvas.getContext("2d");
  const strokes = []; // each: colour, width, points
  let colour = Object.values(palette)[0];
  let width = side / 10;
  let stroke = null;

  const paint = () => {
    context.fillStyle = ground;
    context.fillRect(0, 0, side, side);
    context.lineCap = context.lineJoin = "round";
    for (const { colour, width, points } of strokes) {
      context.strokeStyle = context.fillStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(...points[0], width / 2, 0, 2 * Math.PI);
      context.fill();
      context.beginPath();
      points.forEach((point, i) => (i ? context.lineTo(...point) : context.moveTo(...point)));
      context.stroke();
    }
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    const x = event.clientX - box.left - canvas.clientLeft;
    const y = event.clientY - box.top - canvas.clientTop;
    return [(x * side) / canvas.clientWidth, (y * side) / canvas.clientHeight];
  };
  const undo = () => {
    said.textContent = ""; // what was handed over is no longer what is seen
    strokes.pop();
    paint();
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return; // a palm, a second finger, the other mouse button
    event.preventDefault();
    said.textContent = "";
    canvas.focus();
    canvas.setPointerCapture(event.pointerId); // so that a stroke may leave the canvas and come back
    stroke = { colour, width, points: [place(event)] };
    strokes.push(stroke);
    paint();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || !event.isPrimary) return;
    stroke.points.push(place(event));
    paint();
  });
  for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, () => (stroke = null));
  el.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      event.stopPropagation(); // the notebook would undo a cell
      undo();
    }
  });

  const colours = Object.entries(palette).map(([name, value]) => {
    const button = make("button", { type: "button", title: name });
    button.setAttribute("aria-label", name);
    button.style.cssText = `width: 26px; height: 26px; margin: 2px; border-radius: 13px; background: ${value}`;
    button.addEventListener("click", () => {
      colour = value;
      mark();
    });
    return [value, button];
  });
  const mark = () => {
    for (const [value, button] of colours) {
      button.style.border = value === colour ? "3px solid black" : "1px solid #888";
      button.setAttribute("aria-pressed", value === colour);
    }
  };
  const brush = make("input", { type: "range", min: 4, max: side / 4, value: width, title: "brush" });
  brush.setAttribute("aria-label", "width of the brush");
  brush.addEventListener("input", () => (width = Number(brush.value)));
  const action = (text, act) => {
    const button = make("button", { type: "button", textContent: text });
    button.style.margin = "2px";
    button.addEventListener("click", act);
    return button;
  };
  const said = make("span", { textContent: "" });
  said.setAttribute("aria-live", "polite");
  el.append(
    canvas,
    make("div", {}, ...colours.map(([, button]) => button)),
    make("div", {}, "brush ", brush),
    make(
      "div",
      {},
      action("undo", undo),
      action("clear", () => {
        said.textContent = "";
        strokes.length = 0;
        paint();
      }),
      action("use this", () => {
        use(canvas.toDataURL("image/png"));
        said.textContent = " handed over";
      }),
      said,
    ),
  );
  mark();
  paint();
}

// What anywidget calls: the drawing becomes the Python object's `url`.
export default {
  render({ model, el }) {
    const settings = { side: model.get("side"), ground: model.get("ground"), palette: model.get("palette") };
    const use = (url) => {
      model.set("url", url);
      model.save_changes();
    };
    pad(el, { ...settings, use });
  },
};
