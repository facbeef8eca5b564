// A mask painted over a picture: strokes with finger, pen, mouse or keys, kept as a list so that they can be undone.

const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const STRIDE = 0.03; // of the shorter side, for each press of a key

export class Mask {
  // onChange: called after each stroke. onPen: called with whether the keyboard's brush is down.
  constructor(canvas, { onChange = () => {}, onPen = () => {} } = {}) {
    Object.assign(this, { canvas, onChange, onPen, strokes: [], share: 0.18, erasing: false, at: null, stroke: null });
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, () => this.end());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => {
      this.end();
      this.at = null;
      this.paint();
    });
  }

  get empty() {
    return !this.strokes.some((stroke) => !stroke.erase);
  }

  // A new picture: nothing is painted yet.
  resize(width, height) {
    Object.assign(this.canvas, { width, height });
    this.clear();
  }

  undo() {
    this.strokes.pop();
    this.changed();
  }

  clear() {
    this.strokes = [];
    this.changed();
  }

  changed() {
    this.paint();
    this.onChange();
  }

  begin(event) {
    if (event.button > 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.at = null;
    this.down(this.place(event));
  }

  move(event) {
    if (!this.stroke || this.at) return;
    for (const part of event.getCoalescedEvents?.() ?? [event]) this.stroke.points.push(this.place(part));
    this.paint();
  }

  down(point) {
    const { width, height } = this.canvas;
    this.stroke = { erase: this.erasing, size: this.share * Math.min(width, height), points: [point] };
    this.strokes.push(this.stroke);
    this.paint();
  }

  end() {
    if (!this.stroke) return;
    this.stroke = null;
    this.changed();
  }

  key(event) {
    const { width, height } = this.canvas;
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (event.key !== "z" || event.altKey) return;
      this.undo();
    } else if (event.key === " ") {
      if (event.repeat) return event.preventDefault();
      this.at ??= { x: width / 2, y: height / 2 };
      if (this.stroke) this.end();
      else this.down({ ...this.at });
      this.onPen(this.stroke !== null);
    } else if (event.key in KEYS) {
      const [right, below] = KEYS[event.key];
      const stride = STRIDE * Math.min(width, height) * (event.shiftKey ? 4 : 1);
      const from = this.at ?? { x: width / 2, y: height / 2 };
      this.at = {
        x: Math.min(width, Math.max(0, from.x + right * stride)),
        y: Math.min(height, Math.max(0, from.y + below * stride)),
      };
      this.stroke?.points.push({ ...this.at });
    } else {
      return;
    }
    event.preventDefault();
    this.paint();
  }

  // Where a pointer is, in pixels of the picture.
  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * this.canvas.width,
      y: ((event.clientY - box.top) / box.height) * this.canvas.height,
    };
  }

  paint() {
    const brush = this.canvas.getContext("2d");
    brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.lay(brush, "#ff6a1f");
    if (this.at) this.ring(brush);
  }

  lay(brush, colour) {
    brush.save();
    Object.assign(brush, { lineCap: "round", lineJoin: "round", strokeStyle: colour });
    for (const { erase, size, points } of this.strokes) {
      brush.globalCompositeOperation = erase ? "destination-out" : "source-over";
      brush.lineWidth = size;
      brush.beginPath();
      brush.moveTo(points[0].x, points[0].y);
      // A line of no length would not be drawn; one of nearly none is a dot, with round ends.
      for (const { x, y } of points) brush.lineTo(x + 0.01, y);
      brush.stroke();
    }
    brush.restore();
  }

  // Where the keyboard's brush is: dark and light, to be seen on any picture.
  ring(brush) {
    const { width, height } = this.canvas;
    const thick = Math.max(2, Math.min(width, height) / 120);
    for (const [colour, wider] of [
      ["#000", 1],
      ["#fff", 0],
    ]) {
      brush.beginPath();
      brush.arc(this.at.x, this.at.y, (this.share * Math.min(width, height)) / 2 + wider * thick, 0, 2 * Math.PI);
      brush.lineWidth = thick;
      brush.strokeStyle = colour;
      brush.stroke();
    }
  }

  // White where the picture is to be redrawn, black where it stays, as the service wants it. Null: nothing is painted.
  drawn() {
    if (this.empty) return null;
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: this.canvas.width, height: this.canvas.height });
    const brush = canvas.getContext("2d");
    this.lay(brush, "#fff");
    brush.globalCompositeOperation = "destination-over";
    brush.fillStyle = "#000";
    brush.fillRect(0, 0, canvas.width, canvas.height);
    return canvas;
  }
}
