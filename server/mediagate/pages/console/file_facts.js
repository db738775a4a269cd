// What the parts of the page of files know of a file in common.

import { save } from "./content.js";
import { words } from "./format.js";
import { badge, toast } from "./notices.js";

export const PURPOSES = ["user_data", "assistants", "batch", "fine-tune", "vision", "evals"];
export const ALL_PURPOSES = [...PURPOSES, "assistants_output", "batch_output", "fine-tune-results"];
const REPLICA = { ready: "ok", pending: "busy", writing: "busy", processing: "busy", lost: "warn", failed: "bad" };

/** The state of a copy, by icon and word. */
export const replicaBadge = (replica, text = words(replica.state)) =>
  badge(REPLICA[replica.state] ?? "busy", text, `${replica.account}: ${words(replica.state)}`);

/** Whether something still happens to a file. */
export const isUnsettled = (file) =>
  file.status === "uploaded" || (file.replicas ?? []).some((replica) => REPLICA[replica.state] === "busy");

/** Save a file; what goes wrong is a toast. */
export async function download(session, file) {
  try {
    await save(session, `/v1/files/${file.id}`, file.filename);
  } catch (error) {
    if (error.name !== "AbortError") toast(`${file.filename}: ${error.message}`, { bad: true });
  }
}
