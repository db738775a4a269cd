// Who has signed in, and what that may see.

import { forgetKey, get, GatewayError, useKey } from "./api.js";

const PRINTABLE = /^[\x21-\x7e]+$/;
const TOKEN = "mgt_";

/** Ask the gateway whose key it is. `role` is `master`, `admin`, `key` or `end_user`; `label` is for people. Raises
 * `GatewayError`, and keeps no key then. */
export async function signIn(key) {
  if (!PRINTABLE.test(key)) {
    throw new GatewayError({ message: key === "" ? "Enter a key." : "This is no key: it has a space or a character that no key has." });
  }
  useKey(key);
  try {
    return await whose(key);
  } catch (error) {
    forgetKey();
    throw error;
  }
}

async function whose(key) {
  if (key.startsWith(TOKEN)) return await tokenSession();
  const { info } = await get("/key/info");
  if (!info.key_id) return { role: "master", label: "Master key", info };
  return { role: info.admin ? "admin" : "key", label: info.key_alias || info.key_name, info };
}

async function tokenSession() {
  try {
    await get("/v1/files", { limit: 1 });
  } catch (error) {
    if (error.code !== "token_kind") throw error;
    throw new GatewayError({ ...error, message: "This token opens one object alone. Sign in with a key, or with a token of the kind end_user." });
  }
  return { role: "end_user", label: "End user", info: null };
}

export const isAdmin = (session) => session.role === "master" || session.role === "admin";
/** A token makes no tokens: what it opens it opens by itself. */
export const mayMakeTokens = (session) => session.role !== "end_user";
