// What a user of the generated types writes. It compiles where the document says what it means.
import type { components, operations, paths } from "./api";

type Schemas = components["schemas"];

export const asked: operations["CreateVideo"]["requestBody"]["content"]["application/json"] = {
  prompt: "A boat",
  seconds: "4",
  input_reference: { file_id: "file-1" },
};

export function told(video: Schemas["Video"]): string {
  const done: "queued" | "in_progress" | "completed" | "failed" = video.status;
  return video.error === null ? done : video.error.message;
}

export function page(list: Schemas["ListFilesResponse"]): [number, string | null] {
  return [list.data.reduce((sum, file) => sum + file.bytes, 0), list.last_id];
}

export const query: paths["/v1/files"]["get"]["parameters"]["query"] = { limit: 10, order: "asc" };
export const form: Schemas["CreateFileForm"] = { file: "", purpose: "user_data" };
export const source: Schemas["EditVideoRequest"] = { prompt: "Red", video: { id: "video_1" } };
// @ts-expect-error A purpose that is none.
export const wrong: Schemas["CopyFileRequest"] = { source: "file-1", purpose: "fun" };
// @ts-expect-error The prompt is missing.
export const empty: Schemas["CreateVideoRequest"] = {};
