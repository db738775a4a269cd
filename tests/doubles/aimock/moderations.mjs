// aimock's moderation endpoint, which its command line has no fixtures for: PORT WORD CATEGORY.
import { createRequire } from "node:module";

const [folder, port, word, category] = process.argv.slice(2);
const { LLMock } = createRequire(`${folder}/`)("@copilotkit/aimock");
const mock = new LLMock({ port: Number(port), logLevel: "silent", auth: { apiKeys: process.env.AIMOCK_API_KEYS.split(",") } });
mock.onModerate(word, {
  flagged: true,
  categories: { [category]: true },
  category_scores: { [category]: 0.9 },
});
await mock.start();
