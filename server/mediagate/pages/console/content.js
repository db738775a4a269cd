// What is read by a URL of its own: content to play, to save, to look at. The key is in none of these URLs.

import { call, get, isSignedIn, respond } from "./api.js";
import { mayMakeTokens } from "./session.js";

const PLAYED = "15m";
// What the browser saves it holds by itself soon after: the page need not.
const SAVED_MS = 60_000;

/** A URL that plays or saves one object for a while, with `done` to end it. A session that is a token itself makes no
 * tokens, and its own goes into no URL: it has the bytes in memory instead. */
export async function opened(session, path, signal) {
  if (!mayMakeTokens(session)) {
    const url = URL.createObjectURL(await (await respond("GET", `${path}/content`, { signal })).blob());
    return { url, done: () => URL.revokeObjectURL(url) };
  }
  const { id, token } = await call("POST", `${path}/tokens`, { signal, json: { kind: "playback", expires_in: PLAYED } });
  return {
    // Not the answer's own `url`: that may name another host, which this page's policy does not let play.
    url: `${path}/content?token=${encodeURIComponent(token)}`,
    done: () => {
      if (isSignedIn()) call("DELETE", `/v1/tokens/${id}`).catch(() => {});
    },
  };
}

/** Save an object under a name. The browser takes it from there, at its own pace. */
export async function save(session, path, name) {
  await get(path);
  const { url, done } = await opened(session, path);
  saveUrl(url, name);
  saving.add(done);
  // By a token it may be asked for again, where the download is broken off.
  if (url.startsWith("blob:")) setTimeout(done, SAVED_MS);
}

/** End the URLs that things are saved by. */
export function endSaving() {
  for (const done of saving) done();
  saving.clear();
}

/** Save what an answer holds. */
export async function saveAnswer(path, query, name) {
  const response = await respond("GET", path, { query });
  const url = URL.createObjectURL(await response.blob());
  saveUrl(url, name);
  setTimeout(() => URL.revokeObjectURL(url), SAVED_MS);
  return response;
}

function saveUrl(url, name) {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
}

const saving = new Set();
const AT_ONCE = 3;
const pictures = new Map();
const waiting = [];
let busy = 0;

/** The thumbnail of a finished video as a blob's URL, fetched once. */
export function thumbnail(id) {
  if (!pictures.has(id)) {
    pictures.set(id, new Promise((resolve, reject) => waiting.push({ id, resolve, reject })));
    next();
  }
  return pictures.get(id);
}

/** Forget pictures: one, or all. */
export async function forgetPictures(id = null) {
  if (id === null) waiting.length = 0;
  for (const [one, picture] of [...pictures]) {
    if (id !== null && one !== id) continue;
    pictures.delete(one);
    picture.then((url) => URL.revokeObjectURL(url), () => {});
  }
}

function next() {
  while (busy < AT_ONCE && waiting.length) {
    const { id, resolve, reject } = waiting.shift();
    busy++;
    respond("GET", `/v1/videos/${id}/content`, { query: { variant: "thumbnail" } })
      .then(async (response) => resolve(URL.createObjectURL(await response.blob())))
      .catch((error) => {
        pictures.delete(id);
        reject(error);
      })
      .finally(() => {
        busy--;
        next();
      });
  }
}
