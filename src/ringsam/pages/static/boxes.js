// Boxes [x1, y1, x2, y2] in whole pixels of the image; right and bottom are exclusive.

/** Which sides a handle moves: -1 left or top, 1 right or bottom, 0 neither. */
export const HANDLES = [[-1, -1], [0, -1], [1, -1], [1, 0], [1, 1], [0, 1], [-1, 1], [-1, 0]];

/** The box between two points, cut at the limits; null where nothing is left. */
export function between([ax, ay], [bx, by], limits) {
  const [left, right] = span(ax, bx, limits[0], limits[2]);
  const [top, bottom] = span(ay, by, limits[1], limits[3]);
  return left < right && top < bottom ? [left, top, right, bottom] : null;
}

export function resized([x1, y1, x2, y2], [sideX, sideY], [dx, dy], limits) {
  const [left, right] = stretched(x1, x2, sideX, dx, limits[0], limits[2]);
  const [top, bottom] = stretched(y1, y2, sideY, dy, limits[1], limits[3]);
  return [left, top, right, bottom];
}

export function moved([x1, y1, x2, y2], [dx, dy], limits) {
  const x = clamp(Math.round(dx), limits[0] - x1, limits[2] - x2);
  const y = clamp(Math.round(dy), limits[1] - y1, limits[3] - y2);
  return [x1 + x, y1 + y, x2 + x, y2 + y];
}

export const contains = ([x1, y1, x2, y2], [x, y]) => x >= x1 && x <= x2 && y >= y1 && y <= y2;
export const area = ([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1);
export const sameBox = (box, other) => String(box) === String(other);
export const sameBoxes = (one, other) => sameBox(one.big_box, other.big_box) && sameBox(one.small_box, other.small_box);
export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

function span(a, b, low, high) {
  const ends = [Math.round(Math.min(a, b)), Math.round(Math.max(a, b))];
  if (ends[0] === ends[1]) ends[1] += 1;
  return [Math.max(ends[0], low), Math.min(ends[1], high)];
}

function stretched(start, end, side, by, low, high) {
  if (side < 0) return [clamp(Math.round(start + by), low, end - 1), end];
  if (side > 0) return [start, clamp(Math.round(end + by), start + 1, high)];
  return [start, end];
}
