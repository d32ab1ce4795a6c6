// The order of lists of names, Docker's: byte by byte, but numbers by their value (`v2` before `v10`). Pure.

const PARTS = /\d+|\D/gu;

function comparePart(a: string, b: string): number {
  if (/^\d/.test(a) && /^\d/.test(b)) {
    const [one, other] = [a, b].map((text) => text.replace(/^0+(?=\d)/, '')) as [string, string];
    if (one.length !== other.length) return one.length - other.length;
    if (one !== other) return one < other ? -1 : 1;
    return a.length - b.length;
  }
  return a === b ? 0 : a < b ? -1 : 1;
}

export function naturally(a: string, b: string): number {
  const [left, right] = [a.match(PARTS) ?? [], b.match(PARTS) ?? []];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = comparePart(left[i] ?? '', right[i] ?? '');
    if (order !== 0) return order;
  }
  return left.length - right.length;
}
