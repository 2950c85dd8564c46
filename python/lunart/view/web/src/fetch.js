// Gets what the server sends, into one buffer of the announced length, and tells how far it is.
export async function fetchJson(path) {
  return (await answered(path)).json();
}

export async function fetchBuffer(path, onProgress) {
  const answer = await answered(path);
  const length = Number(answer.headers.get("Content-Length"));
  const whole = new Uint8Array(length); // throws RangeError where the browser cannot hold it
  const reader = answer.body.getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    whole.set(value, at);
    at += value.length;
    onProgress(at / length, length);
  }
  if (at !== length) throw new Error(`the server sent ${at} of ${length} bytes`);
  return whole.buffer;
}

async function answered(path) {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(`${path.split("?")[0]}: ${(await answer.text()).trim()}`);
  return answer;
}
