/** Everything that is asked of the server. */

/** A failed request, with a sentence that can be shown. */
export class ApiError extends Error {
  constructor(message, status = 0) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

const GONE = "The server does not answer. Is “dynfrac explore” still running?";
const CUT = "The server stopped in the middle of an answer.";

/** Whether an exception only says that we withdrew the request ourselves. */
export function isAbort(error) {
  return error?.name === "AbortError";
}

export const getMenu = () => getJson("/api/menu");

/** @param {Object<string, string>} query */
export const getScene = (query, signal) => getJson(`/api/scene?${new URLSearchParams(query)}`, { signal });

export const getPoint = (id, x, y, signal) => getJson(`${sceneUrl(id)}/point?${place(x, y)}`, { signal });

export const getExponents = (id, x, y, signal) => getJson(`${sceneUrl(id)}/exponents?${place(x, y)}`, { signal });

export const getCommand = (id, part) => getJson(`${sceneUrl(id)}/command?${new URLSearchParams(part)}`);

export const startRegion = (id, region) => getJson(`${sceneUrl(id)}/regions`, post(region));

export const getRegion = (name) => getJson(`/api/regions/${encodeURIComponent(name)}`);

export async function cancelRegion(name) {
  // Kept alive, because a page that is left sends it too.
  await ask(`/api/regions/${encodeURIComponent(name)}`, { method: "DELETE", keepalive: true });
}

/**
 * A file of the current view.
 * @param {string} id
 * @param {Object<string, string>} part  format, field, palette, level, columns, rows
 * @returns {Promise<{blob: Blob, name: string}>}
 */
export async function getDownload(id, part) {
  const response = await ask(`${sceneUrl(id)}/download?${new URLSearchParams(part)}`);
  const disposition = response.headers.get("Content-Disposition") ?? "";
  const name = /filename="?([^";]+)"?/.exec(disposition)?.[1];
  const ending = part.format === "zarr" ? "zarr.zip" : part.format;
  return { blob: await reading(response.blob()), name: name ?? `view.${ending}` };
}

/**
 * The frames of a request of tiles, as they arrive.
 * @param {string} id
 * @param {string} field
 * @param {number[][]} tiles  [z, X, Y], in the order in which they are wanted
 * @param {AbortSignal} signal  aborting withdraws the request
 * @returns {AsyncGenerator<{header: Object, payload: ArrayBuffer}>}
 */
export async function* streamTiles(id, field, tiles, signal) {
  const response = await ask(`${sceneUrl(id)}/tiles`, { ...post({ field, tiles }), signal });
  const take = taker(response.body.getReader());
  for (;;) {
    const size = await take(4);
    if (size === null) throw new ApiError(CUT);
    const header = JSON.parse(new TextDecoder().decode(await whole(take, new DataView(size).getUint32(0, true))));
    if (header.type === "end") return;
    const payload = header.bytes ? await whole(take, header.bytes) : new ArrayBuffer(0);
    yield { header, payload };
  }
}

async function whole(take, n) {
  const buffer = await take(n);
  if (buffer === null) throw new ApiError(CUT);
  return buffer;
}

/**
 * A function that takes the next n bytes of a stream into a buffer of their own (so that typed
 * arrays on it are aligned), or null where the stream ends before.
 */
function taker(reader) {
  const parts = [];
  let available = 0;
  return async (n) => {
    while (available < n) {
      const { done, value } = await reading(reader.read());
      if (done) return null;
      parts.push(value);
      available += value.length;
    }
    const bytes = new Uint8Array(n);
    let filled = 0;
    while (filled < n) {
      const part = parts[0].subarray(0, n - filled);
      bytes.set(part, filled);
      filled += part.length;
      if (part.length === parts[0].length) parts.shift();
      else parts[0] = parts[0].subarray(part.length);
    }
    available -= n;
    return bytes.buffer;
  };
}

const sceneUrl = (id) => `/api/scenes/${encodeURIComponent(id)}`;

const place = (x, y) => new URLSearchParams({ x: String(x), y: String(y) });

const post = (body) => ({
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify(body),
});

async function getJson(path, options) {
  const response = await ask(path, options);
  return reading(response.json());
}

async function ask(path, options = {}) {
  const response = await reading(fetch(path, options), GONE);
  if (response.ok) return response;
  let sentence = `The server answered “${response.status} ${response.statusText}”.`;
  try {
    sentence = (await response.json()).error ?? sentence;
  } catch {
    // Not every failure has a body of ours; the sentence above has to do.
  }
  throw new ApiError(sentence, response.status);
}

/** Await, and turn the browser's exceptions (whose texts help nobody) into ours. */
async function reading(promise, message = CUT) {
  try {
    return await promise;
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new ApiError(message);
  }
}
