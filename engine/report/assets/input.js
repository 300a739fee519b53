// Pointer, wheel, touch and keyboard become changes of the view.

const CLICK_PX = 5;

/** Wire the chart element; `app` has view, frame, changed(push), point(p), click(p). */
function listen(app) {
  const { surface } = app;
  const pointers = new Map();
  let start = null;
  let pinch = null;
  const at = (event) => {
    const box = surface.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  surface.addEventListener("wheel", (event) => {
    event.preventDefault();
    wheel(app, event, at(event));
  }, { passive: false });
  surface.addEventListener("pointerdown", (event) => {
    surface.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, at(event));
    start = begin(app, at(event), event);
    pinch = pointers.size === 2 ? spread(app, pointers) : null;
  });
  surface.addEventListener("pointermove", (event) => {
    const p = at(event);
    if (!pointers.has(event.pointerId)) {
      app.point(p, event.pointerType);
      return;
    }
    pointers.set(event.pointerId, p);
    if (pinch && pointers.size === 2) pinched(app, pinch, spread(app, pointers));
    else if (start && pointers.size === 1) drag(app, start, p);
  });
  const end = (event) => {
    const p = at(event);
    if (start && event.type === "pointerup" && !start.moved && pointers.size === 1) {
      app.click(p, event.pointerType);
    }
    pointers.delete(event.pointerId);
    pinch = null;
    start = null;
    app.changed(false);
  };
  surface.addEventListener("pointerup", end);
  surface.addEventListener("pointercancel", end);
  surface.addEventListener("pointerleave", () => app.point(null));
  surface.addEventListener("dblclick", (event) => doubleClick(app, at(event)));
  window.addEventListener("keydown", (event) => key(app, event));
}

function wheel(app, event, p) {
  const { view, frame } = app;
  if (p.x > frame.box.plot.w && p.y < frame.box.price.h) {
    stretch(view, frame, Math.exp(event.deltaY * 0.0015), frame.scale.price(p.y));
  } else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    pan(view, ((event.deltaX || event.deltaY) / frame.box.plot.w) * 1.2);
  } else {
    const step = Math.max(-240, Math.min(240, event.deltaY)) * (event.deltaMode === 1 ? 30 : 1);
    zoom(view, Math.exp(step * 0.0022), frame.scale.t(Math.min(p.x, frame.box.plot.w)));
  }
  app.changed(false);
}

/** Scale prices by hand around `at`. */
function stretch(view, frame, factor, at) {
  const [low, high] = view.price || [frame.scale.low, frame.scale.high];
  view.price = [at - (at - low) * factor, at + (high - at) * factor];
}

function begin(app, p, event) {
  const { view, frame } = app;
  const { box } = frame;
  const where = p.y > box.h - OVERVIEW_H ? "overview"
    : p.x > box.plot.w && p.y < box.price.h ? "axis" : "plot";
  return { p, where, t0: view.t0, t1: view.t1, price: view.price, scale: frame.scale,
    moved: false, touch: event.pointerType === "touch" };
}

function drag(app, start, p) {
  const { view, frame } = app;
  const [dx, dy] = [p.x - start.p.x, p.y - start.p.y];
  if (!start.moved && Math.hypot(dx, dy) < CLICK_PX && start.where === "plot") return;
  start.moved = true;
  if (start.where === "overview") {
    const whole = view.home[1] - view.home[0];
    const t = view.home[0] + (p.x / frame.box.w) * whole;
    const half = (start.t1 - start.t0) / 2;
    setRange(view, t - half, t + half);
  } else if (start.where === "axis") {
    view.price = start.price;
    stretch(view, { scale: start.scale }, Math.exp(dy * 0.006),
      (start.scale.low + start.scale.high) / 2);
  } else {
    const by = (-dx / frame.box.plot.w) * (start.t1 - start.t0);
    setRange(view, start.t0 + by, start.t1 + by);
    if (start.price && start.p.y < frame.box.price.h) {
      const shift = start.scale.price(0) - start.scale.price(-dy);
      view.price = [start.price[0] - shift, start.price[1] - shift];
    }
  }
  app.changed(false);
}

/** Distance and middle of two fingers, and the view when they touched. */
function spread(app, pointers) {
  const [a, b] = [...pointers.values()];
  return { away: Math.max(20, Math.abs(a.x - b.x), Math.abs(a.y - b.y)), x: (a.x + b.x) / 2,
    t0: app.view.t0, t1: app.view.t1 };
}

function pinched(app, from, now) {
  const { view, frame } = app;
  const perMs = frame.box.plot.w / (from.t1 - from.t0);
  const at = from.t0 + from.x / perMs;
  const factor = from.away / now.away;
  const length = (from.t1 - from.t0) * factor;
  const t0 = at - (now.x / frame.box.plot.w) * length;
  setRange(view, t0, t0 + length);
  app.changed(false);
}

function doubleClick(app, p) {
  const { view, frame } = app;
  if (p.x > frame.box.plot.w) view.price = null;
  else zoom(view, 0.4, frame.scale.t(p.x));
  app.changed(true);
}

function key(app, event) {
  const { view } = app;
  if (byId("help").open && event.key !== "?") return;
  if (event.target.closest?.("input, select, textarea") || event.ctrlKey || event.metaKey ||
      event.altKey) return;
  // in the panel these scroll, as everywhere
  if (/^(Arrow(Up|Down)|Home|End)$/.test(event.key) && event.target.closest?.("#panel")) return;
  const middle = (view.t0 + view.t1) / 2;
  const far = event.shiftKey ? 0.8 : 0.15;
  const acts = {
    ArrowLeft: () => pan(view, -far),
    ArrowRight: () => pan(view, far),
    ArrowUp: () => zoom(view, 0.75, middle),
    ArrowDown: () => zoom(view, 1.34, middle),
    "+": () => zoom(view, 0.6, middle),
    "=": () => zoom(view, 0.6, middle),
    "-": () => zoom(view, 1.67, middle),
    Home: () => { setRange(view, ...view.home); view.price = null; },
    End: () => setRange(view, view.home[1] - (view.t1 - view.t0), view.home[1]),
    n: () => app.step(1),
    p: () => app.step(-1),
    f: () => app.nextMode(),
    t: () => app.toggleTheme(),
    "?": () => app.help(true),
    Escape: () => app.escape(),
  };
  const act = acts[event.key];
  if (!act) return;
  event.preventDefault();
  act();
  app.changed(["Home", "End"].includes(event.key));
}
