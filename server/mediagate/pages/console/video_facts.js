// What the parts of the page of videos know of a video in common.

import { duration, words } from "./format.js";
import { badge } from "./notices.js";

const KIND = {
  held: "off", submitting: "busy", provider_queued: "busy", rendering: "busy", finalizing: "busy", archiving: "busy",
  ready: "ok", failed: "bad", cancelled: "off", expired: "off", fate_unknown: "warn",
};
const WORD = {
  held: "Waiting for a turn", submitting: "Being handed over", provider_queued: "In the provider’s queue", archiving: "Being checked",
  fate_unknown: "No word from the provider", ready: "Ready",
};

export const phaseOf = (video) => video.mediagate?.phase ?? video.status;
export const isReady = (video) => video.status === "completed";
export const isRunning = (video) => video.status === "queued" || video.status === "in_progress";
export const phaseText = (video) => WORD[phaseOf(video)] ?? words(phaseOf(video));
export const phaseBadge = (video) => badge(KIND[phaseOf(video)] ?? "busy", phaseText(video));
/** A name for people, in labels and titles. */
export const nameOf = (video) => video.prompt || video.id;
/** What came with `error`, for people. */
export const failureOf = (video) => video.mediagate?.failure ?? video.error;

/** What is known of when a running video will be ready, in a line. */
export function outlook(video) {
  const { hold, position, eta } = video.mediagate ?? {};
  if (hold?.of) return `Number ${hold.position} of ${hold.of} in the line`;
  if (position) return `Number ${position} in the provider’s queue`;
  if (!eta) return "";
  if (eta.overdue) return "Takes longer than most";
  return `About ${duration(eta.p50_seconds)} left${eta.basis === "pace" ? "" : `, ${duration(eta.p90_seconds)} at most as a rule`}`;
}

/** The video after an event of its stream, as a new object; the same one where the event is older than what is known. */
export function after(video, event) {
  if (event.video) return event.video.mediagate.seq < (video?.mediagate?.seq ?? 0) ? video : event.video;
  if (video === undefined || event.seq <= video.mediagate.seq) return video;
  const next = { ...video, mediagate: { ...video.mediagate, seq: event.seq } };
  if (event.phase) {
    next.status = event.phase.status;
    next.mediagate.phase = event.phase.to;
    for (const name of ["position", "failure", "hold"]) next.mediagate[name] = event.phase[name];
  }
  if (event.progress) {
    next.progress = event.progress.percent;
    next.mediagate.progress_source = event.progress.source;
    next.mediagate.eta = event.progress.eta;
  }
  if (event.output) next.mediagate.output = event.output;
  return next;
}
