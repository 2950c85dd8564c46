// A connection that stays open, so that the program knows whether a page is looking and the page whether
// the program still runs.
export function watchServer(onStopped, onBack) {
  const source = new EventSource("alive");
  source.addEventListener("error", onStopped);
  source.addEventListener("open", onBack);
}
