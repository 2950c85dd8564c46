// Text of a file on one line: what turns the direction of writing around, or cannot be seen, is a box.
export function plain(text) {
  return String(text).replace(/\p{C}/gu, "\uFFFD");
}
